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

/// For which who has failed waits for the others to fail, too, and to say it: watchdogs do not end at the same time.
constexpr double kPartingSeconds = 5;
/// For which who has done all waits for the others, which may write files then.
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

/// A request, which may never end: those that it is for may never come.
class Waiting {
 public:
  /// @param what for messages
  /// @param held what MPI reads and writes for it
  Waiting(const char* what, std::shared_ptr<void> held) : what_(what), held_(std::move(held)) {}

  /// `result` is that of the call which began the request.
  void end(int result, Deadline deadline) {
    check(result, what_);
    for (int has_ended = 0;;) {
      check(MPI_Test(&request_, &has_ended, MPI_STATUS_IGNORE), what_);
      if (has_ended != 0) return;
      if (std::chrono::steady_clock::now() > deadline) break;
      std::this_thread::yield();
    }
    new std::shared_ptr<void>(std::move(held_));  // stays for good: MPI may still write to it
    throw DeviceError(fmt::format("MPI: {}: other processes did not come in time", what_));
  }
  [[nodiscard]] MPI_Request* request() { return &request_; }

 private:
  const char* what_;
  std::shared_ptr<void> held_;
  MPI_Request request_ = MPI_REQUEST_NULL;
};

/// The two halves of a round trip.
void send(double number, int to, Deadline deadline) {
  const auto held = std::make_shared<double>(number);
  Waiting waiting("clocks", held);
  waiting.end(MPI_Isend(held.get(), 1, MPI_DOUBLE, to, 0, MPI_COMM_WORLD, waiting.request()), deadline);
}

double receive(int from, Deadline deadline) {
  const auto held = std::make_shared<double>();
  Waiting waiting("clocks", held);
  waiting.end(MPI_Irecv(held.get(), 1, MPI_DOUBLE, from, 0, MPI_COMM_WORLD, waiting.request()), deadline);
  return *held;
}

}  // namespace

Job::Job() {
  set_default_variables();
  int given = 0;
  joined_ = true;
  check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &given), "start");
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  check(MPI_Comm_size(MPI_COMM_WORLD, &size_), "number of processes");
  if (const std::string as = launcher_text(); size_ == 1 && !as.empty())
    throw InvalidInput(
        fmt::format("started as {}, but {} finds one: by a launcher of another MPI?", as, mpi_version()));
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
  Waiting waiting("barrier", nullptr);
  waiting.end(MPI_Ibarrier(MPI_COMM_WORLD, waiting.request()), deadline);
}

void Job::broadcast(std::span<std::byte> bytes, Deadline deadline) const {
  if (size_ == 1) return;
  const auto held = std::make_shared<std::vector<std::byte>>(bytes.begin(), bytes.end());
  Waiting waiting("broadcast", held);
  waiting.end(MPI_Ibcast(held->data(), count_of(held->size()), MPI_BYTE, 0, MPI_COMM_WORLD, waiting.request()),
              deadline);
  std::ranges::copy(*held, bytes.begin());
}

std::vector<std::vector<std::byte>> Job::gather(std::span<const std::byte> bytes, Deadline deadline) const {
  if (size_ == 1) return {{bytes.begin(), bytes.end()}};
  struct Held {
    std::vector<std::byte> mine, together;
    int size;
    std::vector<int> sizes, begins;
  };
  const auto held = std::make_shared<Held>(Held{
      {bytes.begin(), bytes.end()}, {}, count_of(bytes.size()), std::vector<int>(static_cast<std::size_t>(size_)), {}});
  Waiting of_sizes("gather", held), of_bytes("gather", held);
  of_sizes.end(
      MPI_Igather(&held->size, 1, MPI_INT, held->sizes.data(), 1, MPI_INT, 0, MPI_COMM_WORLD, of_sizes.request()),
      deadline);
  std::size_t all = 0;
  if (rank_ == 0)
    for (int of_process : held->sizes) {
      held->begins.push_back(count_of(all));
      all += static_cast<std::size_t>(of_process);
    }
  held->together.resize(static_cast<std::size_t>(count_of(all)));
  of_bytes.end(MPI_Igatherv(held->mine.data(), held->size, MPI_BYTE, held->together.data(), held->sizes.data(),
                            held->begins.data(), MPI_BYTE, 0, MPI_COMM_WORLD, of_bytes.request()),
               deadline);
  std::vector<std::vector<std::byte>> result;
  for (std::size_t i = 0; i < held->begins.size(); ++i) {
    const auto begin = held->together.begin() + held->begins[i];
    result.emplace_back(begin, begin + held->sizes[i]);
  }
  return result;
}

/// One process after the other exchanges its time with process 0; what process 0 answered was true in the middle of the
/// round trip.
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
  MPI_Comm parting = MPI_COMM_NULL;  // of its own, whatever the others wait for
  check(MPI_Comm_dup(MPI_COMM_WORLD, &parting), "start");
  const auto end_all = [&](const std::exception& e, int status) {
    fmt::print(stderr, "meshattn: process {} of {}: {}\n", job.rank(), job.size(), one_line(e.what()));
    std::fflush(stderr);
    Waiting others("parting", nullptr);
    try {
      others.end(MPI_Ibarrier(parting, others.request()), deadline_in(kPartingSeconds));
    } catch (const DeviceError&) {  // some have no error of their own
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(500));  // for mpirun to pass on what was said
    MPI_Abort(MPI_COMM_WORLD, status);
    return status;
  };
  try {
    const int status = work(job);
    MPI_Comm_free(&parting);
    return status;
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
