#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "gpu/base/deadline.h"

namespace meshattn::gpu {

/// The processes that run a schedule together: one, or the processes started by mpirun or srun. Use it from one thread.
class Job {
 public:
  /// Joins the other processes, if any.
  /// @throws InvalidInput if a launcher started several and this program was built without MPI
  Job();
  /// A job of this process alone.
  /// @param local_rank its first device
  [[nodiscard]] static Job alone(int local_rank) { return {Alone{}, local_rank}; }
  ~Job();
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  [[nodiscard]] int size() const { return size_; }
  [[nodiscard]] int rank() const { return rank_; }
  /// The number of this process on its machine, and thus of its device.
  [[nodiscard]] int local_rank() const { return local_rank_; }

  // Each of these waits for the other processes. @throws DeviceError if the deadline passes first

  void barrier(Deadline deadline) const;
  /// Copies the bytes of process 0 to every process. All pass the same number of bytes.
  void broadcast(std::span<std::byte> bytes, Deadline deadline) const;
  /// The bytes of each process, by its number, in process 0; empty in the others.
  [[nodiscard]] std::vector<std::vector<std::byte>> gather(std::span<const std::byte> bytes, Deadline deadline) const;

  /// The difference between the steady clocks of process 0 and of this process, from the quickest of many round trips.
  struct ClockOffset {
    double seconds = 0;        ///< to be added to this process's clock
    double uncertainty_s = 0;  ///< the greatest error: half the round trip
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

/// Runs `work` in every process of a job. If one of several processes throws, it prints the error, waits some seconds
/// for the errors of the others (an exchange that is stuck is stuck in all its ranks), and ends all processes with
/// status 2 for InvalidInput, else 1.
/// @throws the exception of `work`, if the job is one process
int in_job(const std::function<int(const Job&)>& work);

/// The library's name and version, such as "Open MPI v4.1.4", or "without MPI".
[[nodiscard]] std::string mpi_version();

}  // namespace meshattn::gpu
