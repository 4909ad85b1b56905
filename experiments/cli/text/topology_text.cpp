#include "experiments/cli/text/topology_text.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>

#include "core/base/format.h"
#include "core/base/median.h"
#include "core/report/leave_one_out.h"
#include "experiments/cli/text/table.h"
#include "experiments/cli/units.h"

namespace meshattn {

namespace {

constexpr std::size_t kCell = 8;  ///< width of a GPU in the drawing, in characters

/// The number of GPUs in the drawing: at most the first 8. Switches and NICs that reach beyond them are cut off.
int drawn(const Node& node) { return std::min(node.gpus, 8); }

/// A line with `label(i)` in the cell of every `every`-th GPU, then `more`.
template <typename Label>
std::string cells(const Node& node, int every, Label&& label, const std::string& more = {}) {
  std::string line = "  ";
  for (int g = 0; g < drawn(node); ++g) line += fmt::format("{:<{}}", g % every == 0 ? label(g / every) : "", kCell);
  line += more;
  line.erase(line.find_last_not_of(' ') + 1);
  return line + '\n';
}

std::string bar(const Node& node, const std::string& more) {
  return "  " + std::string(static_cast<std::size_t>(drawn(node)) * kCell - kCell / 2, '=') + "    " + more + '\n';
}

std::string stems(const Node& node, int every, const std::string& more = {}) {
  return cells(
      node, every, [](int) { return "  |"; }, more);
}

std::string speed(double bytes_per_s) { return bytes_text(bytes_per_s) + "/s each direction"; }

std::string roots(const Node& node) {
  return bar(node, fmt::format("{} CPUs with {} GPUs each, which pass on {}/s to more than {} pairs at once",
                               node.gpus / node.gpus_per_root, node.gpus_per_root, bytes_text(node.root_bytes_per_s),
                               2 * node.gpus_per_root));
}

std::string switches(const Node& node) {
  if (node.gpus_per_switch == 0 || node.gpus_per_switch == node.gpus)
    return node.gpus_per_root > 0 ? roots(node) : bar(node, "switch of the node");
  std::string line = "  ";
  for (int g = 0; g < drawn(node); g += node.gpus_per_switch) {
    const auto width = static_cast<std::size_t>(std::min(node.gpus_per_switch, drawn(node) - g)) * kCell;
    line +=
        std::string(width - kCell / 2, '=') + std::string(g + node.gpus_per_switch < drawn(node) ? kCell / 2 : 0, '-');
  }
  line += fmt::format("    {} switches of {} GPUs, {} between them\n", node.gpus / node.gpus_per_switch,
                      node.gpus_per_switch, speed(node.switch_bytes_per_s));
  return node.gpus_per_root > 0 ? line + roots(node) : line;
}

/// A link's name without its numbers: "node nic out".
std::string kind_of(const std::string& name) {
  std::string kind;
  for (char c : name)
    if ((c < '0' || c > '9') && !(c == ' ' && kind.ends_with(' '))) kind += c;
  return kind;
}

std::string value_text(const Figure& figure) {
  return figure.uncertainty > 0 ? fmt::format("{} +- {}", figure.value, figure.uncertainty) : figure.value;
}

std::string point_text(const AttentionPoint& p) {
  return fmt::format("{} {} {} {}q {} kv {} heads {}/{} dim {}", name_of(p.pass), name_of(p.mask), name_of(p.dtype),
                     p.batch > 1 ? fmt::format("batch {} ", p.batch) : "", p.q_tokens, p.kv_tokens, p.heads, p.kv_heads,
                     p.head_dim);
}

}  // namespace

std::string fabric_text(const Fabric& fabric) {
  std::string over = fabric.oversubscription == 1 ? "not oversubscribed"
                                                  : fmt::format("{} times oversubscribed", fabric.oversubscription);
  if (fabric.paths > 0) over += fmt::format(", a message takes one of {} spines", fabric.paths);
  switch (fabric.kind) {
    case Fabric::Kind::kNonBlocking:
      return "non-blocking: any NIC reaches any other at its own speed";
    case Fabric::Kind::kFatTree:
      return fmt::format("fat tree: {} nodes a leaf, {}", fabric.nodes_per_leaf, over);
    case Fabric::Kind::kRail:
      return fmt::format("rails: NIC k of {} nodes on rail switch k, {}", fabric.nodes_per_leaf, over);
  }
  return "";
}

std::string drawing_of(const Cluster& cluster, const Network& network) {
  const Node& node = cluster.node;
  const int nodes = network.nodes();
  std::string text =
      fmt::format("{}: {} GPUs ({}, {}) on {} {} of {}\n\n", cluster.name, network.gpus(), cluster.gpu.name,
                  bytes_text(cluster.gpu.memory_bytes), nodes, nodes == 1 ? "node" : "nodes", node.gpus);
  const auto message = [](double bytes_per_s, double startup_s, const std::vector<StartupPoint>& larger) {
    const std::string most = larger.empty() ? ""
                                            : fmt::format(", {} one of {} or more", time_text(larger.back().seconds),
                                                          bytes_text(larger.back().bytes));
    return fmt::format("{}, {} to start a message{}", speed(bytes_per_s), time_text(startup_s), most);
  };
  text += cells(
      node, 1, [](int g) { return fmt::format("GPU {}", g); },
      drawn(node) < node.gpus ? fmt::format("… GPU {}", node.gpus - 1) : "");
  text += stems(node, 1, message(node.link_bytes_per_s, node.link_startup_s, node.link_startups));
  text += switches(node);
  if (node.nic_bytes_per_s <= 0) return text + "  no NICs: one node only\n";
  text += stems(node, node.gpus_per_nic);
  text += cells(
      node, node.gpus_per_nic, [](int k) { return fmt::format("NIC {}", k); },
      node.gpus_per_nic > 1 ? fmt::format("each shared by {} GPUs", node.gpus_per_nic) : "");
  text += stems(node, node.gpus_per_nic, message(node.nic_bytes_per_s, node.nic_startup_s, node.nic_startups));
  return text + bar(node, fmt::format("{} {}, {}", nodes, nodes == 1 ? "node" : "nodes", fabric_text(cluster.fabric)));
}

std::string links_text(const Network& network) {
  std::map<std::pair<std::string, double>, std::uint64_t> count;
  for (const Link& link : network.links()) ++count[{kind_of(link.name), link.bytes_per_s}];
  if (count.empty()) return "";
  std::vector<std::vector<std::string>> rows{{"links", "number", "each"}};
  for (const auto& [kind, number] : count)
    rows.push_back({kind.first, count_text(number), bytes_text(kind.second) + "/s"});
  return aligned(rows, 1);
}

std::string sources_text(const Cluster& cluster) {
  std::vector<std::vector<std::string>> rows{{"key", "value", "source"}};
  for (const auto& [key, figure] : cluster.figures) rows.push_back({key, value_text(figure), figure.source});
  for (const AttentionPoint& p : cluster.gpu.attention)
    rows.push_back({point_text(p), fmt::format("{:.4g} TFLOP/s", p.flops_per_s * 1e-12), p.source});
  return aligned(rows, 1);
}

std::string leave_one_out_text(const GpuProfile& gpu) {
  const std::vector<double> errors = leave_one_out(gpu);
  if (errors.empty()) return "";
  return fmt::format(
      "{} points of {} from the others, left out in turn: {:.1f} % off in the median, {:.1f} % at worst\n",
      errors.size(), gpu.name, 100 * median(errors), 100 * errors.back());
}

}  // namespace meshattn
