#include "gpu/device/cpu_device.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstring>

#include "core/base/error.h"
#include "gpu/issue/unfinished_ops.h"
#include "gpu/kernels/cpu_kernels.h"
#include "gpu/kernels/value_conversion.h"

namespace meshattn::gpu {

CpuDevice::CpuDevice(const Schedule& s, const cpu::Tensors* given) : s_(s) {
  for (Rank rank = 0; rank < s.problem.ranks; ++rank) {
    calls_.emplace_back(s, rank);
    arenas_.emplace_back(s.peak_bytes, std::byte{0xFF});  // NaN in every dtype
  }
  for (ValueId v : s.inputs) std::ranges::copy(input_bytes(s, v, given), arena(s.values[v].rank) + s.offset[v]);
  times_ = {std::vector<double>(s.ops.size()), std::vector<double>(s.ops.size()), 0};
}

CpuDevice::~CpuDevice() {
  const std::lock_guard lock(mutex_);
  for (auto& [id, stream] : streams_) {
    stream.work = {};
    stream.thread.request_stop();
  }
}

/// Appends work to a stream, whose thread starts with its first work.
void CpuDevice::enqueue(Rank rank, Lane lane, std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  Stream& stream = streams_[{rank, lane}];
  stream.work.push(std::move(work));
  if (!stream.thread.joinable())
    stream.thread = std::jthread([this, &stream](const std::stop_token& stop) { serve(stream, stop); });
  changed_.notify_all();
}

void CpuDevice::serve(Stream& stream, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (changed_.wait(lock, stop, [&] { return !stream.work.empty(); })) {
    const std::function<void()> work = std::move(stream.work.front());
    stream.work.pop();
    stream.busy = true;
    lock.unlock();
    work();
    lock.lock();
    stream.busy = false;
    changed_.notify_all();
  }
}

void CpuDevice::launch(Rank rank, Lane lane, OpId op) {
  enqueue(rank, lane, [=, this] {
    for (const Call& call : calls_[static_cast<std::size_t>(rank)].of(op)) run_on_cpu(call, arena(rank));
  });
}

void CpuDevice::copy(Rank rank, Lane lane, const Message& m) {
  enqueue(rank, lane, [=, this] { std::memcpy(arena(rank) + m.offset, arena(m.peer) + m.peer_offset, m.bytes); });
}

void CpuDevice::exchange(Rank rank, Lane, OpId, std::span<const Message>) {
  throw DeviceError(fmt::format("rank {} has no communicator: a CPU device has copies only", rank));
}

void CpuDevice::mark(Rank rank, Lane lane, Mark mark) {
  enqueue(rank, lane, [=, this] {
    const std::lock_guard lock(mutex_);
    const double now = now_s();
    passed_[mark] = now;
    if (mark.point == Mark::Point::kBegin) times_.start_s[mark.op] = now;
    if (mark.point == Mark::Point::kEnd) times_.end_s[mark.op] = now;
  });
}

void CpuDevice::wait(Rank rank, Lane lane, Mark mark) {
  enqueue(rank, lane, [=, this] {
    std::unique_lock lock(mutex_);
    const std::stop_token stop = streams_[{rank, lane}].thread.get_stop_token();
    changed_.wait(lock, stop, [&] { return passed_.contains(mark); });
  });
}

bool CpuDevice::idle() const {
  return std::ranges::all_of(streams_, [](const auto& s) { return s.second.work.empty() && !s.second.busy; });
}

void CpuDevice::finish(Deadline deadline) {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_until(lock, deadline, [this] { return idle(); }))
    throw DeviceError("timed out; pending: " + unfinished_ops());
  passed_.clear();
}

std::string CpuDevice::unfinished_ops() const {
  return unfinished_ops_text(s_, all_ranks(s_.problem.ranks), [&](OpId op) {
    return passed_.contains({op, Mark::Point::kEnd});
  });
}

void CpuDevice::read_times(Trace& trace) const { trace = times_; }

cpu::Tensors CpuDevice::outputs() const {
  cpu::Tensors outputs;
  for (ValueId v : s_.outputs)
    read_output(s_, v,
                std::span(arenas_[static_cast<std::size_t>(s_.values[v].rank)]).subspan(s_.offset[v], s_.bytes(v)),
                outputs);
  return outputs;
}

}  // namespace meshattn::gpu
