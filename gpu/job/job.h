#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "gpu/base/deadline.h"

namespace meshattn::gpu {

/// The processes that run a schedule together: one, or those that mpirun or srun started. To be used from one thread.
class Job {
 public:
  /// Joins the other processes if there are any.
  /// @throws InvalidInput if they were started with MPI and this program was built without it.
  Job();
  /// This process alone, whatever others there are.
  /// @param local_rank which device it uses first
  [[nodiscard]] static Job alone(int local_rank) { return {Alone{}, local_rank}; }
  ~Job();
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  [[nodiscard]] int size() const { return size_; }
  [[nodiscard]] int rank() const { return rank_; }
  /// Number of this process among those of its machine, and so of its device.
  [[nodiscard]] int local_rank() const { return local_rank_; }

  /// All that waits for other processes throws DeviceError if they do not come before the deadline.
  void barrier(Deadline deadline) const;
  /// What process 0 gives, in every process. All give as many bytes.
  void broadcast(std::span<std::byte> bytes, Deadline deadline) const;
  /// What each process gives, by its number, in process 0; nothing in others.
  [[nodiscard]] std::vector<std::vector<std::byte>> gather(std::span<const std::byte> bytes, Deadline deadline) const;

  /// What to add to this machine's steady clock to have process 0's, by the quickest of many round trips.
  struct ClockOffset {
    double seconds = 0;
    double uncertainty_s = 0;  ///< it is no further off: half that round trip
  };
  [[nodiscard]] ClockOffset clock_offset(Deadline deadline) const;

 private:
  struct Alone {};
  Job(Alone, int local_rank) : local_rank_(local_rank) {}

  bool joined_ = false;
  int size_ = 1;
  int rank_ = 0;
  int local_rank_ = 0;
};

/// Does something in every process of a job. If one of several throws, it says what, waits some seconds for the others
/// to say theirs (a stuck exchange sticks in all), and ends them all with status 2 for InvalidInput, else 1.
/// @throws what it throws, if this process is alone
int in_job(const std::function<int(const Job&)>& work);

/// "Open MPI v4.1.4, …" as the library says it, or "without MPI".
[[nodiscard]] std::string mpi_version();

}  // namespace meshattn::gpu
