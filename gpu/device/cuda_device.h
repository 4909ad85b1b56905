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

/// Streams and events of some ranks of a schedule, each on a device of this machine.
class CudaDevice final : public Device {
 public:
  /// @param ranks those that are served, in the order of `programs`; must outlive this
  /// @param lanes their communicators, in the same order; none if exchanges are copies
  /// @param cancellation of the thread that issues
  /// @param timed every op is timed; else only what others wait for is marked
  CudaDevice(const Schedule& schedule, std::span<const RankContext> ranks, std::span<const Program> programs,
             std::span<NcclLanes* const> lanes, Cancellation& cancellation, bool timed);

  void launch(Rank rank, Lane lane, OpId op) override;
  void copy(Rank rank, Lane lane, const Message& message) override;
  void exchange(Rank rank, Lane lane, OpId op, std::span<const Message> messages) override;
  void mark(Rank rank, Lane lane, Mark mark) override;
  void wait(Rank rank, Lane lane, Mark mark) override;

  /// Sets every device's clock against this host's; devices must have nothing to do.
  void set_clocks();
  /// Waits until all streams have done what they were given.
  /// @throws DeviceError naming what each rank is at, if the deadline passes, NCCL reports an error or another rank of
  /// this process has failed; NCCL is aborted.
  void finish(Deadline deadline);
  void set_deadline(Deadline deadline) { deadline_ = deadline; }
  /// Writes when each op of these ranks ran: seconds of this host's steady clock. Must be timed and finished.
  void read_times(Trace& trace) const;
  /// By device: how far its clock, as it was set last, may be off this host's.
  [[nodiscard]] std::vector<double> clock_uncertainties_s() const;

 private:
  [[nodiscard]] std::size_t index_of(Rank rank) const;
  [[nodiscard]] const RankContext& at(Rank rank) const { return ranks_[index_of(rank)]; }
  [[nodiscard]] bool is_needed(Mark mark) const;
  [[nodiscard]] Event& event(Mark mark);
  [[nodiscard]] const Event* find(Mark mark) const;
  [[nodiscard]] bool has_finished(cudaStream_t stream);
  [[nodiscard]] std::string unfinished_ops() const;
  /// Aborts NCCL. @throws DeviceError: why, and what each rank is at
  [[noreturn]] void abort(const std::string& why);

  const Schedule& s_;
  std::span<const RankContext> ranks_;
  std::span<NcclLanes* const> lanes_;
  Cancellation& cancellation_;
  bool timed_;
  Deadline deadline_ = Deadline::max();
  std::vector<bool> awaited_;                 ///< by op: whether another stream of its rank waits for its end
  std::vector<bool> issued_;                  ///< by op: all of it, since the last finish
  std::vector<std::optional<Event>> events_;  ///< by op and point
  std::vector<std::size_t> clock_;            ///< by rank served: its device's, which is that of the first rank on it
  std::vector<Event> zero_;                   ///< by clock: where it was set
  std::vector<double> zero_s_;                ///< and the host's time then
  std::vector<double> zero_uncertainty_s_;    ///< which is no further off
};

}  // namespace meshattn::gpu
