#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>

#include "core/cluster/cluster.h"
#include "experiments/measure/calibration/calibration.h"

namespace meshattn {

namespace {

/// A line of a topology file.
std::string line(const std::string& key, const std::string& value, const std::string& source) {
  return fmt::format("{:<21} = {}  # {}\n", key, value, source);
}

/// "0.8 +- 0.02", or "0.8" if the uncertainty is negligible.
std::string with_uncertainty(double value, double relative_uncertainty) {
  const std::string text = fmt::format("{:.6g}", value);
  return relative_uncertainty > 1e-6
             ? fmt::format("{} +- {:.3g}", text, value * std::clamp(relative_uncertainty, 0.001, 0.9))
             : text;
}

}  // namespace

std::string profile_text(const CalibrationRequest& request, const Calibration& m) {
  const std::string& source = request.source;
  const double hbm = std::max(m.combine_bytes_per_s, m.accumulate_bytes_per_s);
  std::string text = fmt::format(
      "# By meshattn calibrate. Medians; behind +- stands half of the interquartile range.\n"
      "# {}\n# Timing an op by events adds {:.2f} +- {:.2f} us, which the gap between ops does not contain. The host "
      "issues an\n# op in {:.2f} us.\n\n[gpu]\n",
      source, 1e6 * m.event_s, 1e6 * m.event_noise_s, 1e6 * m.issue_s);
  text += line("memory_GB", fmt::format("{:.6g}", request.devices.memory_bytes / 1e9), "as the device says");
  text += line("hbm_GBps", with_uncertainty(hbm / 1e9, std::max(m.combine_uncertainty, m.accumulate_uncertainty)),
               source + ": the faster of the next two");
  text += line("combine_efficiency", with_uncertainty(m.combine_bytes_per_s / hbm, 0),
               source + ": merging two partial outputs");
  text += line("accumulate_efficiency", with_uncertainty(m.accumulate_bytes_per_s / hbm, 0),
               source + ": summing two partial gradients");
  if (request.devices.sms > 0) text += line("sms", std::to_string(request.devices.sms), "as the device says");
  text += line("launch_us", fmt::format("{:.3f}", m.launch_s * 1e6),
               source + ": gap between two ops, beyond what a kernel needs to start");
  text += line("attention_scale", with_uncertainty(1, m.attention_uncertainty),
               "the points as they are; spread of repeats");
  text += "\n[attention]\n";
  for (const AttentionPoint& p : m.points)
    text += fmt::format("point = {} {} {} q {} kv {} heads {}/{} dim {} {:.6g} TFLOPs  # {}\n", name_of(p.pass),
                        name_of(p.mask), name_of(p.dtype), p.q_tokens, p.kv_tokens, p.heads, p.kv_heads, p.head_dim,
                        p.flops_per_s / 1e12, p.source);
  for (const auto& [pass, waves] : m.tails)
    text += line("tail", fmt::format("{} {:.3g}", name_of(pass), waves), source + ": few heads beside all");
  return text;
}

namespace {

/// The links of a box of several ranks.
std::string link_text(const CalibrationRequest& request, const LinkCalibration& m) {
  const std::string& source = request.source;
  std::string text =
      "\n[link]\n" + line("bandwidth_GBps", with_uncertainty(m.bytes_per_s / 1e9, m.uncertainty), source);
  text += line("efficiency", "1", "as bandwidth_GBps was measured");
  text += line("busy_efficiency", with_uncertainty(m.efficiency_during_compute, 0),
               source + ": messages while all ranks attend");
  text += line("startup_us", fmt::format("{:.3f}", m.startups.front().seconds * 1e6), source + ": the smallest");
  for (const StartupPoint& s : m.startups)
    text += line("startup", fmt::format("{:.0f} bytes {:.3f} us", s.bytes, std::max(1e-3, s.seconds * 1e6)), source);
  const std::string slowed =
      fmt::format("{}: attention beside messages takes {:.1f} % longer", source, 100 * m.attention_slowdown);
  // NCCL's kernels hold their SMs while they wait for each other, too; copies take nothing before their bytes flow.
  if (request.options.transport == gpu::Transport::kCopies)
    return text + line("compute_efficiency", with_uncertainty(m.compute_efficiency_during_transfers, 0), slowed);
  const double taken = m.attention_slowdown / (1 + m.attention_slowdown);
  return text + line("sms", fmt::format("{:.0f}", std::min(taken, 0.9) * request.devices.sms), slowed);
}

/// Comments: measurements of links that a cluster cannot express, or that are in doubt.
std::string remarks(const CalibrationRequest& request, const Calibration& m, const LinkCalibration& links) {
  std::string text;
  if (request.options.ranks_per_device == 1)
    text += fmt::format("# Not modelled: two ranks that send to each other reach {:.0f} % of one way.\n",
                        100 * links.both_ways);
  if (!m.paths.empty() && m.paths.front().bytes_per_s < 0.9 * m.paths.back().bytes_per_s) {
    const PathRate &least = m.paths.front(), &most = m.paths.back();
    text += fmt::format("# Not modelled: paths differ, from {:.6g} GB/s (GPU {} to {}) to {:.6g} (GPU {} to {}).\n",
                        least.bytes_per_s / 1e9, least.from, least.to, most.bytes_per_s / 1e9, most.from, most.to);
  }
  if (links.all_to_all_bytes_per_s > 0 && links.all_to_all_bytes_per_s < 0.9 * links.shared_bytes_per_s)
    text += fmt::format(
        "# Not modelled: where each sends to all others, all of them together reach {:.6g} GB/s, not {:.6g}.\n",
        links.all_to_all_bytes_per_s / 1e9, links.shared_bytes_per_s / 1e9);
  text +=
      fmt::format("# Not modelled: a message beside attention waits {:.1f} us more.\n", 1e6 * links.overlap_delay_s);
  if (links.has_few_overlapped_messages())
    text += fmt::format(
        "# In doubt: busy_efficiency. Of {} messages {} came before attention had ended: it seems to leave them no "
        "room.\n",
        kRepetitions, links.overlapped_messages);
  return text;
}

}  // namespace

std::string cluster_text(const CalibrationRequest& request, const Calibration& m, int ctas, const std::string& gpu) {
  const std::string& source = request.source;
  const bool shared = request.options.ranks_per_device > 1;
  std::string text =
      fmt::format("# By meshattn calibrate: {}{}.\n# {}\n",
                  shared ? fmt::format("{} ranks that share one device", request.ranks)
                         : fmt::format("one box of {} device{}", request.ranks, request.ranks > 1 ? "s" : ""),
                  ctas > 0 ? fmt::format(", NCCL with at most {} CTAs", ctas) : "", source);
  if (request.ranks > 1) text += remarks(request, m, m.links.at(ctas));
  text += fmt::format("\n[cluster]\ngpu = {}\n\n[node]\n", gpu);
  text += line("gpus", std::to_string(request.ranks), "as calibrated");
  if (shared)
    text += line("processors", with_uncertainty(m.processors, m.processors_uncertainty),
                 source + ": ranks that compute at once");
  if (request.ranks == 1)
    return text +
           "\n[link]\nbandwidth_GBps = 1  # assumed: no link, one rank\n"
           "efficiency = 1  # assumed: no link, one rank\nstartup_us = 0  # assumed: no link, one rank\n";
  const LinkCalibration& links = m.links.at(ctas);
  // Ports that are slower both ways at once are not a limit of the node.
  if (shared || links.shared_bytes_per_s < 0.95 * request.ranks * links.bytes_per_s * links.both_ways)
    text += line("shared_GBps", with_uncertainty(links.shared_bytes_per_s / 1e9, links.shared_uncertainty),
                 source + ": all at once");
  return text + link_text(request, links);
}

}  // namespace meshattn
