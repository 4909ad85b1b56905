#include "gpu/device/cuda_device.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "core/base/error.h"
#include "gpu/issue/unfinished_ops.h"

namespace meshattn::gpu {

namespace {

constexpr std::size_t kPoints = 3;  ///< of Mark::Point

}  // namespace

CudaDevice::CudaDevice(const Schedule& s, std::span<const RankContext> ranks, std::span<const Program> programs,
                       std::span<NcclLanes* const> lanes, Cancellation& cancellation, bool timed)
    : s_(s),
      ranks_(ranks),
      lanes_(lanes),
      cancellation_(cancellation),
      timed_(timed),
      awaited_(s.ops.size()),
      issued_(s.ops.size()),
      events_(s.ops.size() * kPoints) {
  for (const Program& program : programs)
    for (const Command& command : program.commands)
      if (const auto* record = std::get_if<Record>(&command)) awaited_[record->op] = true;
  for (const RankContext& rank : ranks) {
    rank.use();
    zero_.emplace_back(true);
    clock_.push_back(
        static_cast<std::size_t>(std::ranges::find(ranks, rank.device(), &RankContext::device) - ranks.begin()));
    for (OpId op = s.ops_begin(rank.rank()); op < s.ops_end(rank.rank()); ++op)
      for (Mark::Point point : {Mark::Point::kBegin, Mark::Point::kReceived, Mark::Point::kEnd})
        if (is_needed({op, point})) events_[op * kPoints + static_cast<std::size_t>(point)].emplace(timed);
  }
  zero_s_.resize(ranks.size());
  zero_uncertainty_s_.resize(ranks.size());
}

std::size_t CudaDevice::index_of(Rank rank) const {
  const auto found = std::ranges::find(ranks_, rank, &RankContext::rank);
  if (found == ranks_.end()) throw DeviceError(fmt::format("rank {} is not served by this process", rank));
  return static_cast<std::size_t>(found - ranks_.begin());
}

/// Copies wait for the begin of both exchanges and for all receivers; NCCL's groups need no such marks.
bool CudaDevice::is_needed(Mark mark) const {
  const bool copies = lanes_.empty() && std::holds_alternative<Exchange>(s_.ops[mark.op]);
  if (mark.point == Mark::Point::kReceived) return copies;
  if (timed_) return true;
  return mark.point == Mark::Point::kBegin ? copies : awaited_[mark.op];
}

Event& CudaDevice::event(Mark mark) {
  std::optional<Event>& event = events_[mark.op * kPoints + static_cast<std::size_t>(mark.point)];
  if (!event) throw DeviceError(fmt::format("op {} is waited for but not marked", mark.op));
  return *event;
}

const Event* CudaDevice::find(Mark mark) const {
  const std::optional<Event>& event = events_[mark.op * kPoints + static_cast<std::size_t>(mark.point)];
  return event ? &*event : nullptr;
}

void CudaDevice::launch(Rank rank, Lane lane, OpId op) { at(rank).launch(op, lane); }

void CudaDevice::copy(Rank rank, Lane lane, const Message& m) {
  const RankContext &to = at(rank), &from = at(m.peer);
  to.use();
  std::byte *target = to.arena() + m.offset, *source = from.arena() + m.peer_offset;
  check(to.device() == from.device()
            ? cudaMemcpyAsync(target, source, m.bytes, cudaMemcpyDeviceToDevice, to.stream(lane))
            : cudaMemcpyPeerAsync(target, to.device(), source, from.device(), m.bytes, to.stream(lane)),
        "copy");
}

void CudaDevice::exchange(Rank rank, Lane lane, OpId, std::span<const Message> messages) {
  try {
    lanes_[index_of(rank)]->exchange(lane, messages, deadline_);
  } catch (const DeviceError& e) {
    abort(e.what());
  }
}

void CudaDevice::mark(Rank rank, Lane lane, Mark mark) {
  if (mark.point == Mark::Point::kEnd) issued_[mark.op] = true;
  if (!is_needed(mark)) return;
  at(rank).use();
  check(cudaEventRecord(event(mark).get(), at(rank).stream(lane)), "event record");
}

void CudaDevice::wait(Rank rank, Lane lane, Mark mark) {
  at(rank).use();
  check(cudaStreamWaitEvent(at(rank).stream(lane), event(mark).get(), 0), "wait for an event");
}

/// An idle device executes an event at once, between the host's times just before and just after. The zero of a clock
/// is the middle of the shortest of ten such intervals.
void CudaDevice::set_clocks() {
  for (std::size_t i = 0; i < ranks_.size(); ++i) {
    if (clock_[i] != i) continue;
    ranks_[i].use();
    double least = 1e9;
    for (int tries = 0; tries < 10; ++tries) {
      Event event(true);
      const double before = now_s();
      check(cudaEventRecord(event.get(), ranks_[i].stream(kComputeLane)), "reading a clock");
      check(cudaEventSynchronize(event.get()), "reading a clock");
      const double took = now_s() - before;
      if (took >= least) continue;
      least = took;
      zero_[i] = std::move(event);
      zero_s_[i] = before + took / 2;
      zero_uncertainty_s_[i] = took / 2;
    }
  }
}

std::vector<double> CudaDevice::clock_uncertainties_s() const {
  std::vector<double> uncertainties_s;
  for (std::size_t i = 0; i < ranks_.size(); ++i)
    if (clock_[i] == i) uncertainties_s.push_back(zero_uncertainty_s_[i]);
  return uncertainties_s;
}

void CudaDevice::abort(const std::string& why) {
  const std::string text = fmt::format("{}; pending: {}", why, unfinished_ops());
  cancellation_.request(text);
  for (NcclLanes* lanes : lanes_) lanes->abort();
  throw DeviceError(text);
}

void CudaDevice::finish(Deadline deadline) {
  for (const RankContext& rank : ranks_) {
    rank.use();
    for (int lane = 0; lane < s_.lanes(); ++lane) {
      while (!has_finished(rank.stream(static_cast<Lane>(lane)))) {
        for (NcclLanes* lanes : lanes_)
          if (const std::string error = lanes->async_error(); !error.empty()) abort(error);
        if (cancellation_.is_requested()) abort(kOtherFailed);
        if (std::chrono::steady_clock::now() > deadline) abort("timed out");
      }
    }
  }
  issued_.assign(issued_.size(), false);
}

/// Waits at most 20 ms. An error of the device is reported with the unfinished ops.
bool CudaDevice::has_finished(cudaStream_t stream) {
  try {
    return wait_for(stream, std::chrono::steady_clock::now() + std::chrono::milliseconds(20));
  } catch (const DeviceError& e) {
    abort(e.what());
  }
}

std::string CudaDevice::unfinished_ops() const {
  std::vector<Rank> ranks;
  for (const RankContext& rank : ranks_) ranks.push_back(rank.rank());
  return unfinished_ops_text(s_, ranks, [&](OpId op) {
    // An issued op without an event counts as ended: the next op of its lane with an event tells.
    const Event* end = find({op, Mark::Point::kEnd});
    return issued_[op] && (end == nullptr || cudaEventQuery(end->get()) == cudaSuccess);
  });
}

void CudaDevice::read_times(Trace& trace) const {
  trace.start_s.resize(s_.ops.size());
  trace.end_s.resize(s_.ops.size());
  for (std::size_t i = 0; i < ranks_.size(); ++i)
    for (OpId op = s_.ops_begin(ranks_[i].rank()); op < s_.ops_end(ranks_[i].rank()); ++op) {
      const auto time = [&](Mark::Point point) {
        float ms = 0;
        check(cudaEventElapsedTime(&ms, zero_[clock_[i]].get(), find({op, point})->get()), "event times");
        return zero_s_[clock_[i]] + static_cast<double>(ms) * 1e-3;
      };
      trace.start_s[op] = time(Mark::Point::kBegin);
      trace.end_s[op] = time(Mark::Point::kEnd);
    }
}

}  // namespace meshattn::gpu
