#include <mpi.h>
#include <spdlog/fmt/fmt.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <exception>
#include <limits>
#include <thread>

#include "core/error.h"
#include "gpu/clock.h"
#include "gpu/job.h"

namespace meshattn::gpu {

namespace {

void check(int result, const char* what) {
  if (result == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(result, text.data(), &length);
  throw DeviceError(fmt::format("MPI: {}: {}", what, text.data()));
}

int count_of(std::size_t bytes) {
  if (bytes > static_cast<std::size_t>(std::numeric_limits<int>::max()))
    throw DeviceError(fmt::format("MPI: {} bytes in one message", bytes));
  return static_cast<int>(bytes);
}

}  // namespace

Job::Job() {
  int given = 0;
  joined_ = true;
  check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &given), "start");
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  check(MPI_Comm_size(MPI_COMM_WORLD, &size_), "number of processes");
  check(MPI_Comm_rank(MPI_COMM_WORLD, &rank_), "number of this process");
  MPI_Comm machine = MPI_COMM_NULL;
  check(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &machine), "machines");
  check(MPI_Comm_rank(machine, &local_rank_), "number within a machine");
  MPI_Comm_free(&machine);
}

Job::~Job() {
  if (joined_) MPI_Finalize();
}

void Job::barrier() const {
  if (size_ > 1) check(MPI_Barrier(MPI_COMM_WORLD), "barrier");
}

void Job::broadcast(std::span<std::byte> bytes) const {
  if (size_ > 1) check(MPI_Bcast(bytes.data(), count_of(bytes.size()), MPI_BYTE, 0, MPI_COMM_WORLD), "broadcast");
}

std::vector<std::vector<std::byte>> Job::gather(std::span<const std::byte> bytes) const {
  if (size_ == 1) return {{bytes.begin(), bytes.end()}};
  const int size = count_of(bytes.size());
  std::vector<int> sizes(static_cast<std::size_t>(size_)), begins;
  check(MPI_Gather(&size, 1, MPI_INT, sizes.data(), 1, MPI_INT, 0, MPI_COMM_WORLD), "gather");
  std::size_t all = 0;
  if (rank_ == 0)
    for (int of_process : sizes) {
      begins.push_back(count_of(all));
      all += static_cast<std::size_t>(of_process);
    }
  std::vector<std::byte> together(static_cast<std::size_t>(count_of(all)));
  check(MPI_Gatherv(bytes.data(), size, MPI_BYTE, together.data(), sizes.data(), begins.data(), MPI_BYTE, 0,
                    MPI_COMM_WORLD),
        "gather");
  std::vector<std::vector<std::byte>> result;
  for (std::size_t i = 0; i < begins.size(); ++i)
    result.emplace_back(together.begin() + begins[i], together.begin() + begins[i] + sizes[i]);
  return result;
}

/// One process after the other exchanges its time with process 0; what process 0 answered was true in the middle of the
/// round trip.
Job::ClockOffset Job::clock_offset() const {
  constexpr int kTrips = 50;
  ClockOffset best{0, rank_ == 0 ? 0 : std::numeric_limits<double>::max()};
  for (int other = 1; other < size_; ++other)
    for (int trip = 0; trip < kTrips; ++trip) {
      double theirs = 0;
      if (rank_ == 0) {
        check(MPI_Recv(&theirs, 1, MPI_DOUBLE, other, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE), "clocks");
        const double mine = now_s();
        check(MPI_Send(&mine, 1, MPI_DOUBLE, other, 0, MPI_COMM_WORLD), "clocks");
      } else if (rank_ == other) {
        const double before = now_s();
        check(MPI_Send(&before, 1, MPI_DOUBLE, 0, 0, MPI_COMM_WORLD), "clocks");
        check(MPI_Recv(&theirs, 1, MPI_DOUBLE, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE), "clocks");
        const double half = (now_s() - before) / 2;
        if (half < best.within_s) best = {theirs - (before + half), half};
      }
    }
  return best;
}

int in_job(const std::function<int(const Job&)>& work) {
  const Job job;
  if (job.size() == 1) return work(job);
  const auto end_all = [&](const std::exception& e, int status) {
    fmt::print(stderr, "meshattn: process {} of {}: {}\n", job.rank(), job.size(), e.what());
    std::fflush(stderr);
    std::this_thread::sleep_for(std::chrono::seconds(1));
    MPI_Abort(MPI_COMM_WORLD, status);
    return status;
  };
  try {
    return work(job);
  } catch (const InvalidInput& e) {
    return end_all(e, 2);
  } catch (const std::exception& e) {
    return end_all(e, 1);
  }
}

std::string mpi_version() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  MPI_Get_library_version(text.data(), &length);
  const std::string all(text.data(), static_cast<std::size_t>(length));
  return all.substr(0, all.find(','));
}

}  // namespace meshattn::gpu
