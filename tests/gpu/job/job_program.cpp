// Tests Job under `mpirun -n N job_program`: without an argument every process checks its results and ends with status
// 0. With `throws` or `refuses` some processes end with an error, which must end all. With `misses WAIT` one process
// stops for good, and the others must not wait for it.

#include <chrono>
#include <cmath>
#include <csignal>
#include <cstring>
#include <iostream>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "core/base/error.h"
#include "gpu/job/job.h"

namespace {

using meshattn::gpu::deadline_in;
using meshattn::gpu::Job;

int failures = 0;

void expect(bool holds, const std::string& what) {
  if (holds) return;
  std::cerr << "failed: " << what << '\n';
  ++failures;
}

void check(const Job& job) {
  const auto soon = deadline_in(60);
  std::vector<int> numbers(3, job.rank() == 0 ? 7 : 0);
  job.broadcast(std::as_writable_bytes(std::span(numbers)), soon);
  expect(std::accumulate(numbers.begin(), numbers.end(), 0) == 21, "all have what process 0 gave");

  // Process p passes p + 1 numbers p.
  const std::vector<int> mine(static_cast<std::size_t>(job.rank()) + 1, job.rank());
  const auto all = job.gather(std::as_bytes(std::span(mine)), soon);
  expect(all.size() == (job.rank() == 0 ? static_cast<std::size_t>(job.size()) : 0), "process 0 has what all gave");
  for (std::size_t p = 0; p < all.size(); ++p) {
    std::vector<int> theirs(all[p].size() / sizeof(int));
    std::memcpy(theirs.data(), all[p].data(), all[p].size());
    expect(theirs == std::vector<int>(p + 1, static_cast<int>(p)), "in the order of processes");
  }

  // All processes are on this machine and have the same clock.
  const Job::ClockOffset clock = job.clock_offset(soon);
  expect(std::abs(clock.seconds) <= clock.uncertainty_s, "the clocks differ by no more than is said");
  expect(clock.uncertainty_s < 0.1, "which is little");
  expect(job.local_rank() == job.rank(), "one machine");
  job.barrier(soon);
}

/// Stops a process that others wait for: the one that sends in a broadcast, one that sends in the others.
void miss(const Job& job, const std::string& wait) {
  if (job.rank() == (wait == "broadcast" ? 0 : 1)) raise(SIGSTOP);
  const auto soon = deadline_in(0.5);
  std::vector<std::byte> bytes(8);
  if (wait == "barrier") job.barrier(soon);
  if (wait == "broadcast") job.broadcast(bytes, soon);
  if (wait == "gather") (void)job.gather(bytes, soon);
  if (wait == "clocks") (void)job.clock_offset(soon);
  std::this_thread::sleep_for(std::chrono::seconds(600));  // a process that waits for nothing is ended by the others
}

/// Each process fails a little later than the one before, as deadlines pass one after the other.
void fail(const Job& job) {
  std::this_thread::sleep_for(std::chrono::milliseconds(1500 * job.rank()));
  throw meshattn::DeviceError("is stuck");
}

}  // namespace

int main(int argc, char** argv) {
  const std::string how = argc > 1 ? argv[1] : "";
  return meshattn::gpu::in_job([&](const Job& job) {
    if (how == "throws" && job.rank() != 0) throw meshattn::DeviceError("has had enough");
    if (how == "refuses" && job.rank() == 0) throw meshattn::InvalidInput("wants something else");
    if (how == "misses") miss(job, argv[2]);
    if (how == "fails") fail(job);
    check(job);
    const Job alone = Job::alone(3);
    expect(alone.size() == 1 && alone.rank() == 0 && alone.local_rank() == 3, "alone");
    expect(alone.gather({}, deadline_in(0)).size() == 1, "alone, process 0 has what it gave");
    if (job.rank() == 0) std::cout << job.size() << " processes\n";
    return failures == 0 ? 0 : 1;
  });
}
