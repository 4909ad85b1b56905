#pragma once

#include <nccl.h>

#include <span>
#include <string>
#include <vector>

#include "core/schedule.h"
#include "gpu/cuda_rank.h"
#include "gpu/issue.h"

namespace meshattn::gpu {

/// A communicator for each communication lane of one rank. Send and receive with few CTAs leave the SMs to attention.
/// Left without `close`, what is under way is aborted.
class NcclLanes {
 public:
  /// Meets all other ranks: blocks until they come, or the deadline.
  /// @param ids one for each communication lane, the same on all ranks
  NcclLanes(const CudaRank& rank, int ranks, std::span<const ncclUniqueId> ids, int most_ctas, Deadline deadline);
  ~NcclLanes();
  NcclLanes(const NcclLanes&) = delete;
  NcclLanes& operator=(const NcclLanes&) = delete;

  /// One group of sends and receives on a lane's stream.
  void exchange(Lane lane, std::span<const Message> messages, Deadline deadline) const;
  /// Sends and receives one byte over every pair of ranks and every lane of the program: connections are made then, not
  /// while something is timed.
  void connect(const Program& program, Deadline deadline) const;
  /// What NCCL noticed in the background; empty: nothing. @see abort()
  [[nodiscard]] std::string trouble() const;
  /// Parts from the other ranks, all of which must have done all that they were given.
  void close(Deadline deadline);
  /// Ends what is under way on all lanes, so that streams go on and can be destroyed.
  void abort();

 private:
  explicit NcclLanes(const CudaRank& rank) : rank_(rank) {}
  void settle(Lane lane, ncclResult_t result, const std::string& what, Deadline deadline) const;

  const CudaRank& rank_;
  std::vector<ncclComm_t> communicators_;  ///< of lane 1, 2, …
};

[[nodiscard]] ncclUniqueId new_unique_id();
[[nodiscard]] std::string nccl_version();

}  // namespace meshattn::gpu
