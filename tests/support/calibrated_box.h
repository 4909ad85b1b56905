#pragma once

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <utility>

#include "core/cluster/cluster_file.h"
#include "core/cluster/network.h"
#include "core/execution/cost_model.h"
#include "core/execution/estimate.h"
#include "experiments/measure/calibration/calibration.h"
#include "tests/support/cli_fixture.h"

namespace meshattn {

/// Numbers of ops and messages of a schedule that was run, by rank.
struct RunRecord {
  std::int64_t queries = 0, keys = 0;
  int ranks = 0, cuts = 0, attention_ops = 0, exchanges = 0, whole = 0;  ///< whole: transfers of whole chunks

  friend auto operator<=>(const RunRecord&, const RunRecord&) = default;
};

inline RunRecord record_of(const Schedule& s) {
  const Problem& p = s.problem;
  RunRecord record{p.shape.seq_q / p.ranks, p.shape.seq_kv / p.ranks, p.ranks, p.cuts, 0, 0, 0};
  for (OpId op = s.ops_begin(0); op < s.ops_end(0); ++op) {
    record.attention_ops +=
        std::holds_alternative<Attend>(s.ops[op]) || std::holds_alternative<AttendBackward>(s.ops[op]);
    record.exchanges += std::holds_alternative<Exchange>(s.ops[op]);
  }
  for (const Transfer& t : s.transfers)
    record.whole += static_cast<int>(s.regions[s.values[t.made].region].cells.size()) == p.cuts;
  return record;
}

/// A box that behaves as a cluster, by the estimate. Events and issuing take extra time, and each rank's first op is
/// slow. With NCCL, bandwidth and the SMs of links are proportional to the thread blocks. `starved`: messages come only
/// after attention.
struct Box {
  Cluster cluster;
  double event_s = 0, issue_s = 0, first_s = 0;
  bool starved = false;
  std::set<RunRecord>* records = nullptr;

  gpu::RunResult operator()(const Schedule& s, const gpu::RunOptions& options) const {
    if (records != nullptr) records->insert(record_of(s));
    Cluster c = cluster;
    if (options.transport == gpu::Transport::kNccl) {
      c.node.link_bytes_per_s *= options.max_ctas;
      c.node.link_sms = options.max_ctas;
      c.node.compute_efficiency_during_transfers = 1;
    }
    const double lost_s = options.timed ? event_s : 0;
    OpTimes times = CostModel(c.gpu, s.problem).times(s);
    for (OpId op = 0; op < s.ops.size(); ++op)
      if (!std::holds_alternative<Exchange>(s.ops[op]))
        times.seconds[op] += lost_s + (op == s.ops_begin(s.rank_of(op)) ? first_s : 0);
    gpu::RunResult result;
    result.trace = estimate(s, Network(c, s.problem.ranks), times);
    if (starved) delay_messages(s, result.trace);
    result.makespans_s = result.host_s = {result.trace.makespan_s};
    result.issue_s = {issue_s * static_cast<double>(s.ops.size())};
    for (OpId op = 0; op < s.ops.size(); ++op)  // the estimate counts a kernel's start to its op
      if (!std::holds_alternative<Exchange>(s.ops[op])) result.trace.start_s[op] += c.gpu.launch_s + lost_s;
    if (!options.timed) result.trace = {};
    return result;
  }

  static void delay_messages(const Schedule& s, Trace& trace) {
    double attention_end_s = 0;
    for (OpId op = 0; op < s.ops.size(); ++op)
      if (!std::holds_alternative<Exchange>(s.ops[op])) attention_end_s = std::max(attention_end_s, trace.end_s[op]);
    bool first = true;  // the first begins in time, and ends late
    for (OpId op = 0; op < s.ops.size(); ++op)
      if (std::holds_alternative<Exchange>(s.ops[op])) {
        if (!std::exchange(first, false)) trace.start_s[op] += attention_end_s;
        trace.end_s[op] += attention_end_s;
      }
  }
};

/// What is measured on a box that does as a cluster says, and written, is that cluster.
class CalibrationOfABox : public Cli {
 protected:
  CalibrationOfABox() {
    Cluster& c = box_.cluster;
    c.gpu.sms = 8;
    c.gpu.memory_bytes = 77e9;
    c.gpu.combine_bytes_per_s = 1234e9;
    c.gpu.accumulate_bytes_per_s = 987e9;
    c.gpu.launch_s = 4.5e-6;
    c.gpu.tails = {{Pass::kForward, 0.75}, {Pass::kBackward, 1.5}};
    for (std::int64_t tokens : {256, 512, 1024, 2048})
      for (auto [pass, mask, tflops] : {std::tuple{Pass::kForward, KernelMask::kFull, 20},
                                        {Pass::kForward, KernelMask::kCausal, 15},
                                        {Pass::kBackward, KernelMask::kFull, 12},
                                        {Pass::kBackward, KernelMask::kCausal, 9}})
        c.gpu.attention.push_back({pass, mask, Dtype::kBf16, tokens, tokens, 8, 2, 32, 1,
                                   1e12 * tflops * (1 - 50.0 / static_cast<double>(tokens)), ""});
    c.node.gpus = 6;
    c.node.link_bytes_per_s = 300e9;
    c.node.link_startup_s = 2e-6;
    c.node.link_startups = {{1e6, 5e-6}};
    c.node.link_efficiency_during_compute = 0.8;
    c.node.compute_efficiency_during_transfers = 0.7;
    box_.event_s = 0.3e-6;
    box_.issue_s = 6e-6;
    box_.first_s = 40e-6;
    request_.ranks = 6;
    request_.devices = {"a box", 6, c.gpu.sms, c.gpu.memory_bytes};
    request_.options.ranks_per_device = 1;
    request_.shape = {0, 0, 1, 8, 2, 32, Dtype::kBf16};
    request_.lengths = {256, 512, 1024, 2048};
    request_.message_tokens = {4, 512, 8192, 16384};  // a token: K and V of 2 heads of 32 in bf16, 256 bytes
    request_.ctas = {0};
    request_.source = "measured: nothing, today, median of 1";
  }

  Calibration measured() {
    return calibrate(request_, box_, [](const std::string&) {});
  }
  Cluster written(const Calibration& measured, int ctas = 0) {
    std::filesystem::create_directories(folder_ / "gpus");
    std::filesystem::create_directories(folder_ / "clusters");
    std::ofstream(folder_ / "gpus/box-gpu.ini") << profile_text(request_, measured);
    std::ofstream(folder_ / "clusters/box.ini") << cluster_text(request_, measured, ctas, "box-gpu");
    return read_cluster("box", folder_.string());
  }

  Box box_;
  CalibrationRequest request_;
};

}  // namespace meshattn
