#include "experiments/cli/child_processes.h"

#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "core/base/error.h"

namespace meshattn {

namespace {

struct Child {
  std::size_t job;
  pid_t pid;
  int pipe;  ///< brings the answer: a letter for the kind of result, then the text
  std::string answer;
};

void write_all(int pipe, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(pipe, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) _exit(1);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

[[noreturn]] void serve(const std::function<std::string()>& job, int pipe, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  std::string answer;
  try {
    const std::string text = job();
    answer.append("+").append(text);
  } catch (const InvalidInput& e) {
    answer.append("?").append(e.what());
  } catch (const std::exception& e) {
    answer.append("!").append(e.what());
  }
  write_all(pipe, answer);
  _exit(0);
}

Child start(std::size_t job, const std::function<std::string()>& work) {
  int ends[2];
  if (pipe(ends) != 0) throw Error(fmt::format("cannot open a pipe: {}", std::strerror(errno)));
  const pid_t parent = getpid(), pid = fork();
  if (pid < 0) throw Error(fmt::format("cannot start a process: {}", std::strerror(errno)));
  if (pid == 0) {
    close(ends[0]);
    serve(work, ends[1], parent);
  }
  close(ends[1]);
  return {job, pid, ends[0], {}};
}

ChildResult finish(const Child& child) {
  close(child.pipe);
  int status = 0;
  while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status))
    return {ChildResult::Kind::kFailed,
            fmt::format("its process was ended by signal {} ({})", WTERMSIG(status),
                        WTERMSIG(status) == SIGKILL ? "out of memory?" : strsignal(WTERMSIG(status)))};
  if (WEXITSTATUS(status) != 0 || child.answer.empty())
    return {ChildResult::Kind::kFailed, fmt::format("its process ended with status {}", WEXITSTATUS(status))};
  const char letter = child.answer.front();
  const auto kind = letter == '+'   ? ChildResult::Kind::kDone
                    : letter == '?' ? ChildResult::Kind::kImpossible
                                    : ChildResult::Kind::kFailed;
  return {kind, child.answer.substr(1)};
}

/// Reads what has arrived. @returns false at the end of the answer
bool read_some(Child& child) {
  char buffer[65536];
  const ssize_t n = read(child.pipe, buffer, sizeof buffer);
  if (n < 0 && errno == EINTR) return true;
  if (n <= 0) return false;
  child.answer.append(buffer, static_cast<std::size_t>(n));
  return true;
}

}  // namespace

std::vector<ChildResult> run_in_child_processes(std::span<const std::function<std::string()>> jobs, unsigned at_once) {
  std::vector<ChildResult> results(jobs.size());
  std::vector<Child> running;
  std::size_t next = 0;
  while (next < jobs.size() || !running.empty()) {
    while (next < jobs.size() && running.size() < std::max(1u, at_once)) {
      running.push_back(start(next, jobs[next]));
      ++next;
    }
    std::vector<pollfd> waiting;
    for (const Child& child : running) waiting.push_back({child.pipe, POLLIN, 0});
    if (poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR)
      throw Error(fmt::format("cannot wait for a process: {}", std::strerror(errno)));
    for (std::size_t i = waiting.size(); i-- > 0;) {
      if (waiting[i].revents == 0 || read_some(running[i])) continue;
      results[running[i].job] = finish(running[i]);
      running.erase(running.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  return results;
}

}  // namespace meshattn
