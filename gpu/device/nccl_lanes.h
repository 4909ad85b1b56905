#pragma once

#include <nccl.h>

#include <span>
#include <string>
#include <vector>

#include "core/schedule/schedule.h"
#include "gpu/base/cancellation.h"
#include "gpu/device/rank_context.h"
#include "gpu/issue/issue.h"

namespace meshattn::gpu {

/// A communicator for each communication lane of one rank. With few CTAs, send and receive leave the SMs to attention.
/// Every function that waits throws DeviceError when its deadline passes, or soon after another rank of this process
/// has failed. After an error call Cancellation::request before this is destroyed: without finalize() the destructor
/// aborts the communicators, which may block.
class NcclLanes {
 public:
  /// @param cancellation of this rank's thread; must outlive this
  NcclLanes(const RankContext& rank, const Cancellation& cancellation) : rank_(rank), cancellation_(cancellation) {}
  ~NcclLanes();
  NcclLanes(const NcclLanes&) = delete;
  NcclLanes& operator=(const NcclLanes&) = delete;

  /// Creates the communicators. Waits for all other ranks.
  /// @param ids one for each communication lane, the same on all ranks
  void initialize(int ranks, std::span<const ncclUniqueId> ids, int max_ctas, Deadline deadline);
  /// Issues a group of sends and receives to a lane's stream.
  void exchange(Lane lane, std::span<const Message> messages, Deadline deadline) const;
  /// Sends and receives one byte between all ranks that a lane of the program connects, so that NCCL makes its
  /// connections before anything is timed.
  void warm_up(const Program& program, Deadline deadline) const;
  /// The asynchronous error that NCCL reports; empty if there is none.
  [[nodiscard]] std::string async_error() const;
  /// Destroys the communicators in the regular way. All ranks must be idle.
  void finalize(Deadline deadline);
  /// Aborts all communicators, so that their streams can be destroyed.
  void abort();

 private:
  /// Waits until a non-blocking call has succeeded. @throws DeviceError if it fails
  void wait_until_done(Lane lane, ncclResult_t result, const char* what, Deadline deadline) const;
  /// Waits until a lane's stream is idle.
  void synchronize(Lane lane, Deadline deadline) const;
  /// The reason to stop waiting, or null.
  [[nodiscard]] const char* stop_reason(Deadline deadline) const;
  [[noreturn]] void fail(Lane lane, const char* what, const std::string& why) const;

  const RankContext& rank_;
  const Cancellation& cancellation_;
  std::vector<ncclComm_t> communicators_;  ///< of lanes 1, 2, …
};

/// @throws InvalidInput if a group of the program has more messages than NCCL supports
void require_small_groups(const Program& program);

[[nodiscard]] ncclUniqueId new_unique_id();
[[nodiscard]] std::string nccl_version();

}  // namespace meshattn::gpu
