#include "experiments/cli/text/summary_text.h"

#include <spdlog/fmt/fmt.h>

#include "core/base/format.h"
#include "experiments/cli/text/table.h"
#include "experiments/cli/units.h"

namespace meshattn {

namespace {

/// The cause of a wait of the compute lane, in words.
std::string words_of(const std::string& what) {
  if (what == "memory") return "memory to be free again";
  if (what == "end") return "other GPUs to end";
  if (what == "start") return "an op that could run to start";
  return what + " to arrive";
}

}  // namespace

std::string waits_text(const Summary& s) {
  if (s.waiting < 5e-4) return "hardly ever";
  std::string text;
  for (std::size_t i = 0; i < s.waits.size() && s.waits[i].share >= 0.01; ++i)
    text +=
        fmt::format("{}{} {:.0f} %", text.empty() ? "for " : ", ", words_of(s.waits[i].what), s.waits[i].share * 100);
  return text;
}

std::string near_text(const Summary& s) {
  const std::string near = near_bound(s);
  if (near == "compute") return "compute";
  if (near == "latency") return "neither bound: start-up, order, dependencies or the host decide";
  return "link " + near;
}

std::string text_of(const Summary& s) {
  const auto of_makespan = [&](double seconds) {
    return s.makespan_s > 0 ? percent_text(seconds / s.makespan_s) + " of the makespan" : std::string();
  };
  const std::string& link = s.bounds.busiest_link;
  const auto [least_s, most_s] = range_s(s);
  std::string text = aligned(
      {{"makespan", time_text(s.makespan_s), "near " + near_text(s)},
       {"  may be", time_text(least_s),
        s.corners_s.empty() ? "as nothing is known of how far its figures may be off"
                            : fmt::format("to {}, by the spread of the cluster's figures", time_text(most_s))},
       {"compute", time_text(s.compute_s),
        fmt::format("on the busiest GPU, {:.3f} times the mean; {}", s.compute_balance, of_makespan(s.compute_s))},
       {"waiting", percent_text(s.waiting), "of all compute time: " + waits_text(s)},
       {"bound: compute", time_text(s.bounds.compute_s), of_makespan(s.bounds.compute_s)},
       {"bound: busiest link", time_text(s.bounds.busiest_link_s),
        link.empty() ? "nothing moves" : link + ", " + of_makespan(s.bounds.busiest_link_s)},
       {"bound: any schedule", time_text(s.problem_bound_s),
        "even compute at this GPU's best rate, free communication"},
       {"received", bytes_text(s.volume.bytes_received_avg),
        fmt::format("a GPU on average ({:.2f} chunks), at most {}", s.volume.chunks_received_avg,
                    bytes_text(static_cast<double>(s.volume.bytes_received_max)))},
       {"  between nodes", bytes_text(s.volume.inter_node_bytes_avg),
        fmt::format("a GPU on average ({:.2f} chunks), at most {} ({:.2f} chunks)", s.volume.inter_node_chunks_avg,
                    bytes_text(static_cast<double>(s.volume.inter_node_bytes_max)), s.volume.inter_node_chunks_max)},
       {"memory", bytes_text(static_cast<double>(s.peak_bytes)), "of attention values on the fullest GPU"},
       {"schedule", count_text(s.ops), fmt::format("ops, {} transfers over all GPUs", count_text(s.transfers))},
       {"this program", time_text(s.wall.plan_s + s.wall.verify_s + s.wall.simulate_s),
        fmt::format("planning {}, proving {}, simulating {}", time_text(s.wall.plan_s), time_text(s.wall.verify_s),
                    time_text(s.wall.simulate_s))}},
      1);
  if (s.links.empty()) return text;
  std::vector<std::vector<std::string>> links{{"busiest links", "bytes", "busy", "utilisation"}};
  for (std::size_t i = 0; i < s.links.size() && i < 5; ++i) {
    const LinkUse& l = s.links[i];
    links.push_back({l.name, bytes_text(l.bytes), time_text(l.busy_s), percent_text(l.utilisation)});
  }
  return text + '\n' + aligned(links, 1);
}

}  // namespace meshattn
