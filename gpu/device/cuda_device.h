#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/schedule/trace.h"
#include "gpu/base/cancellation.h"
#include "gpu/device/device.h"
#include "gpu/device/nccl_lanes.h"
#include "gpu/device/rank_context.h"

namespace meshattn::gpu {

/// Issues to the streams of the ranks that this process, or one of its threads, serves.
class CudaDevice final : public Device {
 public:
  /// @param ranks the ranks served, in the order of `programs`; must outlive this
  /// @param lanes their communicators, in the same order; empty if exchanges are copies
  /// @param cancellation of the calling thread; must outlive this
  /// @param timed whether every op is timed; otherwise only the marks that streams wait for are recorded
  CudaDevice(const Schedule& schedule, std::span<const RankContext> ranks, std::span<const Program> programs,
             std::span<NcclLanes* const> lanes, Cancellation& cancellation, bool timed);

  void launch(Rank rank, Lane lane, OpId op) override;
  void copy(Rank rank, Lane lane, const Message& message) override;
  void exchange(Rank rank, Lane lane, OpId op, std::span<const Message> messages) override;
  void mark(Rank rank, Lane lane, Mark mark) override;
  void wait(Rank rank, Lane lane, Mark mark) override;

  /// Relates every device's clock to the host's. Devices must be idle.
  void set_clocks();
  /// Waits until all streams are idle.
  /// @throws DeviceError naming the first unfinished op of each rank, if the deadline passes, NCCL reports an error or
  /// another rank of this process has failed; communicators are aborted first
  void finish(Deadline deadline);
  /// Sets the deadline of the exchanges issued from now on.
  void set_deadline(Deadline deadline) { deadline_ = deadline; }
  /// Writes the times of these ranks' ops: seconds of this host's steady clock. Needs `timed`; call finish() first.
  void read_times(Trace& trace) const;
  /// By device: the greatest error of its clock against the host's, as last set.
  [[nodiscard]] std::vector<double> clock_uncertainties_s() const;

 private:
  [[nodiscard]] std::size_t index_of(Rank rank) const;
  [[nodiscard]] const RankContext& at(Rank rank) const { return ranks_[index_of(rank)]; }
  [[nodiscard]] bool is_needed(Mark mark) const;
  [[nodiscard]] Event& event(Mark mark);
  [[nodiscard]] const Event* find(Mark mark) const;
  [[nodiscard]] bool has_finished(cudaStream_t stream);
  [[nodiscard]] std::string unfinished_ops() const;
  /// Aborts the communicators. @throws DeviceError with the reason and the first unfinished op of each rank
  [[noreturn]] void abort(const std::string& why);

  const Schedule& s_;
  std::span<const RankContext> ranks_;
  std::span<NcclLanes* const> lanes_;
  Cancellation& cancellation_;
  bool timed_;
  Deadline deadline_ = Deadline::max();
  std::vector<bool> awaited_;                 ///< by op: whether another stream waits for its end
  std::vector<bool> issued_;                  ///< by op: whether all of it was issued since the last finish()
  std::vector<std::optional<Event>> events_;  ///< by op and point
  std::vector<std::size_t> clock_;            ///< by rank served: the first rank served on the same device
  std::vector<Event> zero_;                   ///< by clock: the event to which its times are relative
  std::vector<double> zero_s_;                ///< by clock: the host's time of that event
  std::vector<double> zero_uncertainty_s_;    ///< by clock: the greatest error of that time
};

}  // namespace meshattn::gpu
