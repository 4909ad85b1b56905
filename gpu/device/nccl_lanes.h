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

/// A communicator for each communication lane of one rank. Send and receive with few CTAs leave the SMs to attention.
/// Left without `close`, what is under way is aborted. All that waits throws DeviceError at its deadline, or soon after
/// another rank of this process has failed: then the way out is to be taken before this is destroyed.
class NcclLanes {
 public:
  /// @param cancellation of this rank's thread; must outlive this
  NcclLanes(const RankContext& rank, const Cancellation& cancellation) : rank_(rank), cancellation_(cancellation) {}
  ~NcclLanes();
  NcclLanes(const NcclLanes&) = delete;
  NcclLanes& operator=(const NcclLanes&) = delete;

  /// Meets all other ranks: blocks until they come, or the deadline.
  /// @param ids one for each communication lane, the same on all ranks
  void initialize(int ranks, std::span<const ncclUniqueId> ids, int max_ctas, Deadline deadline);
  /// One group of sends and receives on a lane's stream.
  void exchange(Lane lane, std::span<const Message> messages, Deadline deadline) const;
  /// Sends and receives one byte over every pair of ranks and every lane of the program: connections are made then, not
  /// while something is timed.
  void warm_up(const Program& program, Deadline deadline) const;
  /// What NCCL noticed in the background; empty: nothing. @see abort()
  [[nodiscard]] std::string async_error() const;
  /// Parts from the other ranks, all of which must have done all that they were given.
  void finalize(Deadline deadline);
  /// Ends what is under way on all lanes, so that streams go on and can be destroyed.
  void abort();

 private:
  void wait_until_done(Lane lane, ncclResult_t result, const char* what, Deadline deadline) const;
  /// Waits until a lane's stream has done all that it was given.
  void synchronize(Lane lane, Deadline deadline) const;
  /// Why nothing is to be waited for any more; none: it is.
  [[nodiscard]] const char* stop_reason(Deadline deadline) const;
  [[noreturn]] void fail(Lane lane, const char* what, const std::string& why) const;

  const RankContext& rank_;
  const Cancellation& cancellation_;
  std::vector<ncclComm_t> communicators_;  ///< of lane 1, 2, …
};

/// @throws InvalidInput if NCCL does not take as many messages in a group as the program has.
void require_small_groups(const Program& program);

[[nodiscard]] ncclUniqueId new_unique_id();
[[nodiscard]] std::string nccl_version();

}  // namespace meshattn::gpu
