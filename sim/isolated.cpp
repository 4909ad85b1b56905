#include <spdlog/fmt/fmt.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <utility>

#include "core/base/error.h"
#include "sim/simulator.h"

namespace meshattn::sim {

namespace {

/// Memory that a child shares with its parent: what came out, then start and end of each op.
class Mailbox {
 public:
  struct Outcome {
    bool done = false;
    double makespan_s = 0;
    std::array<char, 2048> error{};  ///< empty: no error
  };

  explicit Mailbox(std::size_t ops) : ops_(ops), bytes_(sizeof(Outcome) + 2 * ops * sizeof(double)) {
    memory_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory_ == MAP_FAILED)
      throw SimulationError(fmt::format("{} bytes to share with a child: {}", bytes_, std::strerror(errno)));
    new (memory_) Outcome();
  }
  ~Mailbox() { munmap(memory_, bytes_); }
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  [[nodiscard]] Outcome& outcome() { return *static_cast<Outcome*>(memory_); }
  [[nodiscard]] double* starts() { return reinterpret_cast<double*>(static_cast<Outcome*>(memory_) + 1); }
  [[nodiscard]] double* ends() { return starts() + ops_; }

 private:
  std::size_t ops_;
  std::size_t bytes_;
  void* memory_;
};

/// The child: never returns, and leaves without what the parent had meant for its own end.
[[noreturn]] void run_child(pid_t parent, Mailbox& mailbox, const Schedule& schedule, const Network& network,
                            const OpTimes& times) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  try {
    const Trace trace = simulate(schedule, network, times);
    std::ranges::copy(trace.start_s, mailbox.starts());
    std::ranges::copy(trace.end_s, mailbox.ends());
    mailbox.outcome().makespan_s = trace.makespan_s;
  } catch (const std::exception& e) {
    auto& error = mailbox.outcome().error;
    std::strncpy(error.data(), e.what(), error.size() - 1);
  }
  mailbox.outcome().done = true;
  _exit(0);
}

/// Why a child that left nothing ended.
std::string reason_of(int status) {
  if (!WIFSIGNALED(status)) return fmt::format("the simulation left with status {}", WEXITSTATUS(status));
  const char* name = sigabbrev_np(WTERMSIG(status));
  return fmt::format("the simulation was killed by {}{}", name == nullptr ? "signal " : "SIG",
                     name == nullptr ? std::to_string(WTERMSIG(status)) : name);
}

}  // namespace

std::variant<Trace, Failure> simulate_isolated(const Schedule& schedule, const Network& network, const OpTimes& times) {
  const std::size_t ops = schedule.ops.size();
  Mailbox mailbox(ops);
  std::fflush(nullptr);  // or the child, when SimGrid flushes, would write again what waits in buffers here
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) return Failure{fmt::format("no child process: {}", std::strerror(errno))};
  if (child == 0) run_child(parent, mailbox, schedule, network, times);
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return Failure{fmt::format("waiting for the simulation: {}", std::strerror(errno))};
  if (!mailbox.outcome().done) return Failure{reason_of(status)};
  if (mailbox.outcome().error[0] != '\0') return Failure{mailbox.outcome().error.data()};
  return Trace{
      {mailbox.starts(), mailbox.starts() + ops}, {mailbox.ends(), mailbox.ends() + ops}, mailbox.outcome().makespan_s};
}

Trace simulate_in_child(const Schedule& schedule, const Network& network, const OpTimes& times) {
  auto result = simulate_isolated(schedule, network, times);
  if (const auto* failure = std::get_if<Failure>(&result)) throw SimulationError(failure->reason);
  return std::get<Trace>(std::move(result));
}

}  // namespace meshattn::sim
