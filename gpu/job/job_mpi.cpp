#include <mpi.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <exception>
#include <limits>
#include <memory>
#include <thread>

#include "core/base/error.h"
#include "gpu/base/deadline.h"
#include "gpu/base/watchdog.h"
#include "gpu/job/environment_variables.h"
#include "gpu/job/job.h"

namespace meshattn::gpu {

namespace {

/// The wait of a process that has failed for the errors of the others, whose deadlines pass a little later.
constexpr double kErrorWaitSeconds = 5;
/// The wait of a process that has finished for the others, which may still write files.
constexpr double kEndSeconds = 60;

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

/// A request that may never complete, because other processes may be gone.
class PendingRequest {
 public:
  /// @param what for error messages
  /// @param buffer that MPI reads or writes
  PendingRequest(const char* what, std::shared_ptr<void> buffer) : what_(what), buffer_(std::move(buffer)) {}

  /// Waits for the request. @param result of the call that started it
  void wait(int result, Deadline deadline) {
    check(result, what_);
    for (int is_complete = 0;;) {
      check(MPI_Test(&request_, &is_complete, MPI_STATUS_IGNORE), what_);
      if (is_complete != 0) return;
      if (std::chrono::steady_clock::now() > deadline) break;
      std::this_thread::yield();
    }
    new std::shared_ptr<void>(std::move(buffer_));  // leaked on purpose: MPI may still write to it
    throw DeviceError(fmt::format("MPI: {}: other processes did not come in time", what_));
  }
  [[nodiscard]] MPI_Request* handle() { return &request_; }

 private:
  const char* what_;
  std::shared_ptr<void> buffer_;
  MPI_Request request_ = MPI_REQUEST_NULL;
};

// The two halves of a round trip.
void send(double number, int to, Deadline deadline) {
  const auto buffer = std::make_shared<double>(number);
  PendingRequest request("clocks", buffer);
  request.wait(MPI_Isend(buffer.get(), 1, MPI_DOUBLE, to, 0, MPI_COMM_WORLD, request.handle()), deadline);
}

double receive(int from, Deadline deadline) {
  const auto buffer = std::make_shared<double>();
  PendingRequest request("clocks", buffer);
  request.wait(MPI_Irecv(buffer.get(), 1, MPI_DOUBLE, from, 0, MPI_COMM_WORLD, request.handle()), deadline);
  return *buffer;
}

}  // namespace

Job::Job() {
  set_default_variables();
  int provided = 0;
  joined_ = true;
  check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "start");
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  check(MPI_Comm_size(MPI_COMM_WORLD, &size_), "number of processes");
  if (const std::string as = launcher_text(); size_ == 1 && !as.empty())
    throw InvalidInput(
        fmt::format("started as {}, but {} finds one: was the launcher of another MPI used?", as, mpi_version()));
  check(MPI_Comm_rank(MPI_COMM_WORLD, &rank_), "number of this process");
  MPI_Comm machine = MPI_COMM_NULL;
  check(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &machine), "machines");
  check(MPI_Comm_rank(machine, &local_rank_), "number within a machine");
  MPI_Comm_free(&machine);
}

Job::~Job() {
  if (!joined_) return;
  Watchdog watchdog(kEndSeconds);
  watchdog.arm("MPI: end: other processes did not come in time");
  MPI_Finalize();
}

void Job::barrier(Deadline deadline) const {
  if (size_ == 1) return;
  PendingRequest request("barrier", nullptr);
  request.wait(MPI_Ibarrier(MPI_COMM_WORLD, request.handle()), deadline);
}

void Job::broadcast(std::span<std::byte> bytes, Deadline deadline) const {
  if (size_ == 1) return;
  const auto buffer = std::make_shared<std::vector<std::byte>>(bytes.begin(), bytes.end());
  PendingRequest request("broadcast", buffer);
  request.wait(MPI_Ibcast(buffer->data(), count_of(buffer->size()), MPI_BYTE, 0, MPI_COMM_WORLD, request.handle()),
               deadline);
  std::ranges::copy(*buffer, bytes.begin());
}

std::vector<std::vector<std::byte>> Job::gather(std::span<const std::byte> bytes, Deadline deadline) const {
  if (size_ == 1) return {{bytes.begin(), bytes.end()}};
  struct Buffers {
    std::vector<std::byte> mine, all;
    int size;
    std::vector<int> sizes, begins;
  };
  const auto buffer = std::make_shared<Buffers>(Buffers{
      {bytes.begin(), bytes.end()}, {}, count_of(bytes.size()), std::vector<int>(static_cast<std::size_t>(size_)), {}});
  PendingRequest sizes_request("gather", buffer), bytes_request("gather", buffer);
  sizes_request.wait(MPI_Igather(&buffer->size, 1, MPI_INT, buffer->sizes.data(), 1, MPI_INT, 0, MPI_COMM_WORLD,
                                 sizes_request.handle()),
                     deadline);
  std::size_t all = 0;
  if (rank_ == 0)
    for (int of_process : buffer->sizes) {
      buffer->begins.push_back(count_of(all));
      all += static_cast<std::size_t>(of_process);
    }
  buffer->all.resize(static_cast<std::size_t>(count_of(all)));
  bytes_request.wait(MPI_Igatherv(buffer->mine.data(), buffer->size, MPI_BYTE, buffer->all.data(), buffer->sizes.data(),
                                  buffer->begins.data(), MPI_BYTE, 0, MPI_COMM_WORLD, bytes_request.handle()),
                     deadline);
  std::vector<std::vector<std::byte>> result;
  for (std::size_t i = 0; i < buffer->begins.size(); ++i) {
    const auto begin = buffer->all.begin() + buffer->begins[i];
    result.emplace_back(begin, begin + buffer->sizes[i]);
  }
  return result;
}

/// The processes exchange their times with process 0 one after the other. The answer of process 0 is taken as its time
/// in the middle of the round trip.
Job::ClockOffset Job::clock_offset(Deadline deadline) const {
  constexpr int kTrips = 50;
  ClockOffset best{0, rank_ == 0 ? 0 : std::numeric_limits<double>::max()};
  for (int other = 1; other < size_; ++other)
    for (int trip = 0; trip < kTrips; ++trip)
      if (rank_ == 0) {
        (void)receive(other, deadline);
        send(now_s(), other, deadline);
      } else if (rank_ == other) {
        const double before = now_s();
        send(before, 0, deadline);
        const double theirs = receive(0, deadline);
        const double half = (now_s() - before) / 2;
        if (half < best.uncertainty_s) best = {theirs - (before + half), half};
      }
  return best;
}

int in_job(const std::function<int(const Job&)>& work) {
  const Job job;
  if (job.size() == 1) return work(job);
  MPI_Comm exit_communicator = MPI_COMM_NULL;  // a communicator of its own, for others may be waiting on MPI_COMM_WORLD
  check(MPI_Comm_dup(MPI_COMM_WORLD, &exit_communicator), "start");
  const auto abort_all = [&](const std::exception& e, int status) {
    fmt::print(stderr, "meshattn: process {} of {}: {}\n", job.rank(), job.size(), one_line(e.what()));
    std::fflush(stderr);
    PendingRequest others("shutdown", nullptr);
    try {
      others.wait(MPI_Ibarrier(exit_communicator, others.handle()), deadline_in(kErrorWaitSeconds));
    } catch (const DeviceError&) {  // some processes have no error of their own
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(500));  // lets mpirun forward the messages
    MPI_Abort(MPI_COMM_WORLD, status);
    return status;
  };
  try {
    const int status = work(job);
    MPI_Comm_free(&exit_communicator);
    return status;
  } catch (const InvalidInput& e) {
    return abort_all(e, 2);
  } catch (const std::exception& e) {
    return abort_all(e, 1);
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
