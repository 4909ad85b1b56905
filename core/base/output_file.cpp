#include "core/base/output_file.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "core/base/error.h"

namespace meshattn {

namespace {

namespace fs = std::filesystem;

/// Defers the signals that end a program, so that no temporary file is left behind.
class DeferSignals {
 public:
  DeferSignals() {
    sigset_t deferred;
    sigemptyset(&deferred);
    for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&deferred, signal);
    pthread_sigmask(SIG_BLOCK, &deferred, &before_);
  }
  DeferSignals(const DeferSignals&) = delete;
  DeferSignals& operator=(const DeferSignals&) = delete;
  ~DeferSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

/// Removes a file at the end of its scope unless `keep` is set.
struct TemporaryFile {
  fs::path path;
  bool keep = false;
  ~TemporaryFile() {
    std::error_code ignored;
    if (!keep) fs::remove(path, ignored);
  }
};

[[noreturn]] void cannot_write(const std::string& path, int error) {
  throw Error(fmt::format("cannot write {}: {}", path, error == 0 ? "unknown reason" : std::strerror(error)));
}

[[noreturn]] void cannot_create(const std::string& path, int error) {
  throw InvalidInput(fmt::format("cannot create {}: {}", path, std::strerror(error)));
}

/// The path with symbolic links resolved: the file is replaced, not the link.
fs::path target_of(const std::string& path) {
  std::error_code error;
  const fs::path target = fs::weakly_canonical(path, error);
  return error ? fs::path(path) : target;
}

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

void fill(const std::string& name, const fs::path& path, const std::function<void(std::ostream&)>& write) {
  errno = 0;
  std::ofstream out(path, std::ios::binary);
  if (!out) cannot_create(name, errno);
  write(out);
  out.close();
  if (!out) cannot_write(name, errno);
}

}  // namespace

void check_writable(const std::string& path) {
  if (path == "-") return;
  if (path.empty()) throw InvalidInput("cannot create a file without a name");
  const fs::path target = target_of(path);
  std::error_code ignored;
  if (fs::is_directory(target, ignored)) cannot_create(path, EISDIR);
  const bool special = fs::exists(target, ignored) && !fs::is_regular_file(target, ignored);
  if (access((special ? target : folder_of(target)).c_str(), special ? W_OK : W_OK | X_OK) != 0)
    cannot_create(path, errno);
}

void write_file(const std::string& path, const std::function<void(std::ostream&)>& write) {
  if (path == "-") {
    write(std::cout);
    return flush_output();
  }
  check_writable(path);
  const fs::path target = target_of(path);
  std::error_code error;
  if (fs::exists(target, error) && !fs::is_regular_file(target, error)) return fill(path, target, write);
  const DeferSignals deferred;
  TemporaryFile temporary{fmt::format("{}.{}.tmp", target.string(), getpid())};
  fill(path, temporary.path, write);
  fs::rename(temporary.path, target, error);
  if (error) cannot_write(path, error.value());
  temporary.keep = true;
}

void flush_output() {
  errno = 0;
  const bool has_failed = !std::cout;  // an earlier write failed; a new one tells why
  std::cout.clear();
  if (has_failed) std::cout.put('\n');
  std::cout.flush();
  if (has_failed || !std::cout) cannot_write("to standard output", errno);
}

}  // namespace meshattn
