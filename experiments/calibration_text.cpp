#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>

#include "core/cluster.h"
#include "experiments/calibration.h"

namespace meshattn {

namespace {

/// A line of a topology file.
std::string line(const std::string& key, const std::string& value, const std::string& source) {
  return fmt::format("{:<18} = {}  # {}\n", key, value, source);
}

/// "1 +- 0.02": a number that others are multiplied by, and how far that may be off.
std::string one(double spread) { return fmt::format("1 +- {:.3f}", std::clamp(spread, 0.001, 0.9)); }

}  // namespace

std::string profile_text(const CalibrationRequest& request, const Calibration& m) {
  const std::string& source = request.source;
  std::string text = fmt::format(
      "# By meshattn calibrate. Medians; what is said to be one may be off by half of what repeats differ.\n"
      "# {}\n# Every op timed by events takes {:.1f} % longer than none.\n\n[gpu]\n",
      source, 100 * m.timing_overhead);
  text += line("memory_GB", fmt::format("{:.6g}", request.devices.memory_bytes / 1e9), "as the device says");
  text += line("hbm_GBps", fmt::format("{:.6g}", m.combine_bytes_per_s / 1e9), source + ": merging two partials");
  text += line("combine_efficiency", one(m.combine_spread), "as hbm_GBps was measured; spread of repeats");
  if (request.devices.sms > 0) text += line("sms", std::to_string(request.devices.sms), "as the device says");
  text += line("launch_us", fmt::format("{:.3f}", m.launch_s * 1e6), source + ": gap between two kernels");
  text += line("attention_scale", one(m.attention_spread), "the points as they are; spread of repeats");
  text += "\n[attention]\n";
  for (const AttentionPoint& p : m.points)
    text += fmt::format("point = {} {} {} q {} kv {} heads {}/{} dim {} {:.6g} TFLOPs  # {}\n", name_of(p.pass),
                        name_of(p.mask), name_of(p.dtype), p.q_tokens, p.kv_tokens, p.heads, p.kv_heads, p.head_dim,
                        p.flops_per_s / 1e12, p.source);
  for (const auto& [pass, waves] : m.tails)
    text += line("tail", fmt::format("{} {:.3g}", name_of(pass), waves), source + ": few heads beside all");
  return text;
}

std::string cluster_text(const CalibrationRequest& request, const Calibration& m, const std::string& gpu) {
  const std::string& source = request.source;
  const bool shared = request.options.ranks_per_device > 1;
  std::string text = fmt::format("# By meshattn calibrate: {}.\n# {}\n",
                                 shared ? fmt::format("{} ranks that share one device", request.ranks)
                                        : fmt::format("one box of {} devices", request.ranks),
                                 source);
  if (request.ranks > 1)
    text += fmt::format(
        "# Two ranks that send to each other reach {:.0f} % of one way. Not modelled: messages beside attention take\n"
        "# {:.0f} % longer.\n",
        100 * m.both_ways, 100 * m.messages_slowed);
  text += fmt::format("\n[cluster]\ngpu = {}\n\n[node]\n", gpu);
  text += line("gpus", std::to_string(request.ranks), "as calibrated");
  if (shared) text += line("processors", fmt::format("{:.3f}", m.processors), source + ": ranks that compute at once");
  if (request.ranks == 1)
    return text +
           "\n[link]\nbandwidth_GBps = 1  # assumed: no link, one rank\n"
           "efficiency = 1  # assumed: likewise\nstartup_us = 0  # assumed: likewise\n";
  if (shared) text += line("shared_GBps", fmt::format("{:.6g}", m.shared_bytes_per_s / 1e9), source + ": all at once");
  text += "\n[link]\n" + line("bandwidth_GBps", fmt::format("{:.6g}", m.link_bytes_per_s / 1e9), source);
  text += line("efficiency", one(m.link_spread), "as bandwidth_GBps was measured; spread of repeats");
  text += line("startup_us", fmt::format("{:.3f}", m.startups.front().seconds * 1e6), source + ": the smallest");
  for (const StartupPoint& s : m.startups)
    text += line("startup", fmt::format("{:.0f} bytes {:.3f} us", s.bytes, std::max(1e-3, s.seconds * 1e6)), source);
  if (request.devices.sms > 0) {
    const double taken = m.attention_slowed / (1 + m.attention_slowed);
    text += line("sms", fmt::format("{:.0f}", std::min(taken, 0.9) * request.devices.sms),
                 fmt::format("{}: attention beside messages takes {:.1f} % longer", source, 100 * m.attention_slowed));
  }
  return text;
}

}  // namespace meshattn
