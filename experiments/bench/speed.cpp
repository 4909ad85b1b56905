// Wall time and peak memory of `meshattn simulate` as a process (planning and proof included) on the cluster
// ideal-8x50. Checks each result: the ring's makespan and every tile's volume against their closed forms.
//
//   speed PATH_TO_MESHATTN [largest number of GPUs, default 4096]

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace {

struct Case {
  int gpus;
  int rows;  ///< of the tile; one row is ring
  const char* pass;
};

struct Measured {
  int status = 0;
  double wall_s = 0;
  double peak_mb = 0;  ///< largest resident set of a process; the child shares pages of its parent
};

Measured run(const std::vector<std::string>& arguments) {
  const auto start = std::chrono::steady_clock::now();
  const pid_t child = fork();
  if (child == 0) {
    std::vector<char*> argv;
    for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
    argv.push_back(nullptr);
    dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);  // results are read from the file
    execv(argv[0], argv.data());
    _exit(127);
  }
  Measured m;
  rusage usage{};
  wait4(child, &m.status, 0, &usage);
  m.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  m.peak_mb = static_cast<double>(usage.ru_maxrss) * 1024 / 1e6;
  return m;
}

/// The first error in a result; empty if there is none.
std::string check(const Case& c, const nlohmann::json& result) {
  const double a = c.rows, b = c.gpus / a;
  const bool forward = std::string(c.pass) == "forward";
  const double chunks = forward ? 2 * (a - 1) + 2 * (b - 1) : 3 * (a - 1) + 4 * (b - 1);  // bf16 wire, MHA
  if (std::abs(result["volume"]["chunks_received_avg"].get<double>() - chunks) > 1e-9) return "volume is wrong";
  // Hop: 64 MiB over 50 GB/s and 1 us, longer than a block of 1 ms.
  const double ring = (c.gpus - 1) * 1.34317728e-3 + 1e-3;
  if (c.rows == 1 && forward && std::abs(result["makespan_s"].get<double>() - ring) > 1e-6) return "makespan is wrong";
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: speed PATH_TO_MESHATTN [largest number of GPUs]\n");
    return 2;
  }
  const int largest = argc > 2 ? std::atoi(argv[2]) : 4096;
  const std::string json = std::filesystem::temp_directory_path() / fmt::format("meshattn-speed-{}.json", getpid());
  bool good = true;
  fmt::print("{:>6} {:>8} {:>9} {:>9} {:>9} {:>12}\n", "GPUs", "tile", "pass", "wall s", "peak MB", "makespan ms");
  for (const Case& c :
       {Case{256, 1, "forward"}, Case{256, 1, "backward"}, Case{256, 16, "forward"}, Case{256, 16, "backward"},
        Case{1024, 1, "forward"}, Case{1024, 32, "forward"}, Case{4096, 64, "forward"}, Case{4096, 64, "backward"}}) {
    if (c.gpus > largest) continue;
    const std::string tile = fmt::format("{}x{}", c.rows, c.gpus / c.rows);
    const Measured m = run({argv[1],        "simulate",
                            "--cluster",    "ideal-8x50",
                            "--gpus",       std::to_string(c.gpus),
                            "--seq",        std::to_string(c.gpus * 4096L),
                            "--heads",      "32",
                            "--kv-heads",   "32",
                            "--head-dim",   "128",
                            "--dtype",      "bf16",
                            "--mask",       "full",
                            "--partition",  "contiguous",
                            "--algorithm",  "mesh",
                            "--tile",       tile,
                            "--pass",       c.pass,
                            "--wire-dtype", "bf16",
                            "--json",       json});
    std::string wrong = m.status == 0 ? "" : "failed";
    double makespan = 0;
    if (wrong.empty()) {
      std::ifstream file(json);
      const nlohmann::json result = nlohmann::json::parse(file);
      makespan = result["makespan_s"];
      wrong = check(c, result);
    }
    good = good && wrong.empty();
    fmt::print("{:>6} {:>8} {:>9} {:>9.2f} {:>9.0f} {:>12.3f} {}\n", c.gpus, tile, c.pass, m.wall_s, m.peak_mb,
               makespan * 1e3, wrong);
  }
  unlink(json.c_str());
  return good ? 0 : 1;
}
