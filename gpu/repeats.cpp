#include "gpu/repeats.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>

#include "core/base/error.h"

namespace meshattn::gpu {

namespace {

std::span<const std::byte> bytes_of(const std::vector<double>& numbers) { return std::as_bytes(std::span(numbers)); }

std::vector<double> numbers_of(std::span<const std::byte> bytes) {
  std::vector<double> numbers(bytes.size() / sizeof(double));
  std::memcpy(numbers.data(), bytes.data(), bytes.size());
  return numbers;
}

/// The trace of a repeat over all processes, on the clock of process 0, relative to its first op. Empty in the others.
Trace gathered(const Schedule& s, std::span<const Program> programs, const Repeat& seen, double offset_s,
               const RunOptions& options, const Job& job) {
  const bool timed = options.timed;
  std::vector<double> mine{seen.begin_s + offset_s, seen.end_s + offset_s};
  for (const Program& program : programs)
    for (OpId op = s.ops_begin(program.rank); timed && op < s.ops_end(program.rank); ++op) {
      mine.push_back(seen.trace.start_s[op] + offset_s);
      mine.push_back(seen.trace.end_s[op] + offset_s);
    }
  const std::vector<std::vector<std::byte>> all = job.gather(bytes_of(mine), deadline_in(options.timeout_s));
  Trace trace;
  if (all.empty()) return trace;
  double begin = std::numeric_limits<double>::max(), end = 0;
  if (timed) trace = {std::vector<double>(s.ops.size()), std::vector<double>(s.ops.size()), 0};
  for (std::size_t process = 0; process < all.size(); ++process) {
    const std::vector<double> theirs = numbers_of(all[process]);
    if (!timed) begin = std::min(begin, theirs[0]), end = std::max(end, theirs[1]);
    const Rank first = all.size() > 1 ? rank_on(static_cast<int>(process), s.problem.ranks, options) : 0;
    const Rank last = all.size() > 1 ? first : s.problem.ranks - 1;
    std::size_t at = 2;
    for (OpId op = s.ops_begin(first); timed && op < s.ops_end(last); ++op, at += 2) {
      trace.start_s[op] = theirs[at];
      trace.end_s[op] = theirs[at + 1];
      begin = std::min(begin, theirs[at]);
      end = std::max(end, theirs[at + 1]);
    }
  }
  for (std::vector<double>* times : {&trace.start_s, &trace.end_s})
    for (double& time : *times) time -= begin;
  trace.makespan_s = end - begin;
  return trace;
}

/// The greatest error between two clocks: the sum of the two greatest uncertainties against process 0. Zero in the
/// others.
double clocks_uncertainty(std::span<const Repeat> seen, double host_uncertainty_s, double timeout_s, const Job& job) {
  std::vector<double> mine{0};  // the host's clock, unless devices have their own
  for (const Repeat& one : seen)
    for (std::size_t i = 0; i < one.clock_uncertainties_s.size(); ++i) {
      mine.resize(one.clock_uncertainties_s.size());
      mine[i] = std::max(mine[i], one.clock_uncertainties_s[i]);
    }
  for (double& uncertainty_s : mine) uncertainty_s += host_uncertainty_s;
  std::vector<double> all;
  for (const std::vector<std::byte>& bytes : job.gather(bytes_of(mine), deadline_in(timeout_s)))
    for (double theirs : numbers_of(bytes)) all.push_back(theirs);
  if (all.size() < 2) return 0;
  std::ranges::sort(all, std::greater{});
  return all[0] + all[1];
}

}  // namespace

int gpu_of(Rank rank, const RunOptions& options) {
  return options.gpu_of.empty() ? rank : options.gpu_of[static_cast<std::size_t>(rank)];
}

Rank rank_on(int gpu, int ranks, const RunOptions& options) {
  for (Rank rank = 0; rank < ranks; ++rank)
    if (gpu_of(rank, options) == gpu) return rank;
  throw InvalidInput(fmt::format("no rank is on GPU {}", gpu));
}

std::vector<Program> served_programs(const Schedule& s, const RunOptions& options, const Job& job) {
  std::vector<Program> programs = issue(s);
  if (job.size() == 1) return programs;
  if (options.transport == Transport::kCopies)
    throw InvalidInput("copies are within one process: several processes need --transport nccl");
  if (job.size() != s.problem.ranks)
    throw InvalidInput(fmt::format("{} processes for {} ranks: start one for each rank", job.size(), s.problem.ranks));
  const Rank mine = rank_on(job.rank(), s.problem.ranks, options);
  std::erase_if(programs, [&](const Program& p) { return p.rank != mine; });
  return programs;
}

ClockReading read_clock(const Job& job, Deadline deadline) {
  const Job::ClockOffset offset = job.clock_offset(deadline);
  return {now_s(), offset};
}

RunResult gather_repeats(const Schedule& s, std::span<const Program> programs, std::span<const Repeat> seen,
                         const ClockReading& before, const RunOptions& options, const Job& job) {
  RunResult result;
  for (const Program& program : programs) result.served.push_back(program.rank);
  const ClockReading now = read_clock(job, deadline_in(options.timeout_s));
  const double uncertainty_s = std::max(before.offset.uncertainty_s, now.offset.uncertainty_s);
  const double drift =
      now.at_s > before.at_s ? (now.offset.seconds - before.offset.seconds) / (now.at_s - before.at_s) : 0;
  result.clock_uncertainty_s = clocks_uncertainty(seen, uncertainty_s, options.timeout_s, job);
  std::vector<Trace> traces;
  for (const Repeat& one : seen) {
    const double offset_s = before.offset.seconds + drift * (one.begin_s - before.at_s);
    traces.push_back(gathered(s, programs, one, offset_s, options, job));
    result.host_s.push_back(one.end_s - one.begin_s);
    result.issue_s.push_back(one.issue_s);
  }
  for (const Trace& trace : traces) result.makespans_s.push_back(trace.makespan_s);
  const auto median = traces.begin() + static_cast<std::ptrdiff_t>(traces.size() / 2);
  std::ranges::nth_element(traces, median, {}, &Trace::makespan_s);
  result.trace = std::move(*median);
  return result;
}

}  // namespace meshattn::gpu
