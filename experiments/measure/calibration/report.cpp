#include "experiments/measure/calibration/report.h"

#include <spdlog/fmt/fmt.h>

#include "core/base/format.h"
#include "core/base/median.h"
#include "experiments/cli/text/table.h"

namespace meshattn {

namespace {

/// Links, for each number of thread blocks.
std::string links_text(const CalibrationRequest& request, const Calibration& m) {
  const LinkCalibration& first = m.links.at(request.ctas.front());
  std::vector<std::vector<std::string>> cells{{"message", "took"}};
  for (const StartupPoint& s : first.startups)
    cells.push_back({bytes_text(s.bytes), time_text(s.seconds + s.bytes / first.bytes_per_s)});
  std::string text = '\n' + aligned(cells, 0) + '\n';
  if (!m.paths.empty()) {
    const auto path = [](const PathRate& p) {
      return fmt::format("{}/s (GPU {} to {})", bytes_text(p.bytes_per_s), p.from, p.to);
    };
    text += fmt::format("paths: from {} to {}\n\n", path(m.paths.front()), path(m.paths.back()));
  }
  cells = {{"messages by", "one alone", "both ways, each", "all at once", "each to each", "attention beside",
            "beside attention", "overlap"}};
  for (const auto& [ctas, links] : m.links)
    cells.push_back(
        {ctas > 0 ? fmt::format("NCCL, at most {} CTAs", ctas) : "copies", bytes_text(links.bytes_per_s) + "/s",
         percent_text(links.both_ways), bytes_text(links.shared_bytes_per_s) + "/s",
         links.all_to_all_bytes_per_s > 0 ? bytes_text(links.all_to_all_bytes_per_s) + "/s" : "-",
         fmt::format("+{:.1f} %", 100 * links.attention_slowdown),
         fmt::format("+{:.1f} %{}", 100 * links.message_slowdown, links.has_few_overlapped_messages() ? " (?)" : ""),
         percent_text(links.overlap)});
  return text + aligned(cells, 1) +
         fmt::format(
             "all at once: {} ranks together, each sending to the next; each to each: each sending to all others; "
             "attention beside: how much longer attention takes during messages; beside attention: how much longer the "
             "largest message takes during attention (? if few came before attention had ended); overlap: "
             "(Tc + Tm - T) / min(Tc, Tm) of attention, messages and both\n",
             request.ranks);
}

}  // namespace

std::string report_text(const CalibrationRequest& request, const Calibration& m) {
  std::vector<std::vector<std::string>> cells{{"attention", "tokens", "TFLOP/s"}};
  for (const AttentionPoint& p : m.points)
    cells.push_back({fmt::format("{} {}", name_of(p.pass), name_of(p.mask)), std::to_string(p.q_tokens),
                     fmt::format("{:.4g}", p.flops_per_s / 1e12)});
  std::string text = fmt::format("{}\n\n{}\n", request.source, aligned(cells, 1));
  if (!m.rectangle_errors.empty())
    text += fmt::format(
        "kernels of four times as many keys as queries, or the other way, from these points: {:.1f} % off in the "
        "median, {:.1f} % at worst\n",
        100 * median(m.rectangle_errors), 100 * m.rectangle_errors.back());
  std::string relative_to_copies;  // a copy reads and writes what it moves
  if (request.options.ranks_per_device > 1 && request.ranks > 1)
    relative_to_copies = fmt::format(" ({:.0f} % of what a copy on the device reads and writes)",
                                     100 * m.combine_bytes_per_s / 2 / m.links.at(0).bytes_per_s);
  text += fmt::format(
      "merging: {}/s{}; summing gradients: {}/s\n"
      "from the end of an op to the start of the next: {}; timing an op: {} +- {} ({:.1f} % more); issuing an op: "
      "{} of the host\n",
      bytes_text(m.combine_bytes_per_s), relative_to_copies, bytes_text(m.accumulate_bytes_per_s),
      time_text(m.launch_s), time_text(m.event_s), time_text(m.event_noise_s), 100 * m.timing_overhead,
      time_text(m.issue_s));
  if (request.ranks == 1) return text;
  text += fmt::format("ranks that compute at once do {:.2f} times what one does\n", m.processors);
  return text + links_text(request, m);
}

}  // namespace meshattn
