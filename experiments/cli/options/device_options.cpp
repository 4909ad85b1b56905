#include "experiments/cli/options/device_options.h"

#include <spdlog/fmt/fmt.h>

#include "core/base/error.h"
#include "core/base/numbers.h"
#include "experiments/cli/options/option_group.h"
#include "experiments/cli/request.h"

namespace meshattn {

namespace po = boost::program_options;
using gpu::Backend;
using gpu::Kernels;
using gpu::RunOptions;
using gpu::Transport;

namespace {

constexpr EnumNames<Backend, 2> kBackends{{{Backend::kCuda, "cuda"}, {Backend::kCpu, "cpu"}}};
constexpr EnumNames<Transport, 2> kTransports{{{Transport::kCopies, "copies"}, {Transport::kNccl, "nccl"}}};
constexpr EnumNames<Kernels, 3> kKernels{
    {{Kernels::kFast, "fast"}, {Kernels::kRepeatable, "repeatable"}, {Kernels::kReference, "reference"}}};

}  // namespace

void add_device_options(po::options_description& options) {
  po::options_description device = option_group("device");
  device.add_options()                                                                                     //
      ("device", text_value("NAME"), "cuda (default), cpu (threads instead of GPUs, to try the method)")   //
      ("ranks-per-gpu", text_value("N"), "ranks that share a GPU (1; calibrate with one GPU: 16)")         //
      ("transport", text_value("NAME"), "copies (default in one process), nccl (one rank a GPU)")          //
      ("kernels", text_value("NAME"), "fast (default: cuDNN where it can), repeatable, reference (slow)")  //
      ("repeats", text_value("N"), "timed runs (5)")                                                       //
      ("warm-ups", text_value("N"), "runs before them (2)")                                                //
      ("timeout", text_value("SECONDS"), "give up, and say at which op every rank is (60)")                //
      ("max-ctas", text_value("N"), "thread blocks of an NCCL kernel, which attention lacks (4)");
  options.add(device);
}

gpu::Backend read_backend(const po::variables_map& given) { return one_of(given, "device", Backend::kCuda, kBackends); }

RunOptions read_device_options(const po::variables_map& given) {
  RunOptions options;
  options.backend = read_backend(given);
  options.ranks_per_device = count_of(given, "ranks-per-gpu", 1);
  options.transport = one_of(given, "transport", options.transport, kTransports);
  options.kernels = one_of(given, "kernels", Kernels::kFast, kKernels);
  options.repeats = count_of(given, "repeats", options.repeats);
  options.warm_ups = count_of(given, "warm-ups", options.warm_ups, 0);
  options.timeout_s = parse_number(optional(given, "timeout", "60"), "--timeout");
  if (options.timeout_s <= 0 || options.timeout_s > 1e6)
    throw InvalidInput("--timeout must be more than 0 seconds and at most 1000000");
  options.max_ctas = count_of(given, "max-ctas", options.max_ctas);
  if (options.max_ctas > gpu::kMaxCtas)
    throw InvalidInput(fmt::format("--max-ctas {}: at most {} are possible", options.max_ctas, gpu::kMaxCtas));
  for (const char* name : {"kernels", "max-ctas"})
    if (options.backend == Backend::kCpu && given.count(name))
      throw InvalidInput(fmt::format("--{} is for GPUs and has no meaning with --device cpu", name));
  return options;
}

void choose_transport(const po::variables_map& given, const gpu::Job& job, RunOptions& options) {
  if (job.size() == 1) return;
  if (options.backend == Backend::kCpu) throw InvalidInput("--device cpu is one process: start it without mpirun");
  if (!given.count("transport")) options.transport = Transport::kNccl;
  if (options.transport == Transport::kCopies)
    throw InvalidInput("--transport copies works within one process; several processes need --transport nccl");
}

}  // namespace meshattn
