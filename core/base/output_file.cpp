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

/// Holds back the signals that end a program, so that none leaves a temporary file behind; they arrive afterwards.
class HoldSignals {
 public:
  HoldSignals() {
    sigset_t held;
    sigemptyset(&held);
    for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&held, signal);
    pthread_sigmask(SIG_BLOCK, &held, &before_);
  }
  HoldSignals(const HoldSignals&) = delete;
  HoldSignals& operator=(const HoldSignals&) = delete;
  ~HoldSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

/// Removes a file unless told to keep it.
struct Removal {
  fs::path path;
  bool keep = false;
  ~Removal() {
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

/// The file behind symbolic links: it is replaced, not the link.
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
  const HoldSignals hold;
  Removal beside{fmt::format("{}.{}.tmp", target.string(), getpid())};
  fill(path, beside.path, write);
  fs::rename(beside.path, target, error);
  if (error) cannot_write(path, error.value());
  beside.keep = true;
}

void flush_output() {
  errno = 0;
  const bool was_full = !std::cout;  // already: only another try tells why
  std::cout.clear();
  if (was_full) std::cout.put('\n');
  std::cout.flush();
  if (was_full || !std::cout) cannot_write("to standard output", errno);
}

}  // namespace meshattn
