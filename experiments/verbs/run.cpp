#include <iostream>

#include "core/base/output_file.h"
#include "core/report/chrome_trace.h"
#include "experiments/cli/options/run_options.h"
#include "experiments/cli/verb.h"
#include "experiments/measure/run_report.h"

namespace meshattn {

namespace {

namespace po = boost::program_options;

void report(const Measurement& measured) {
  const RunRequest& request = measured.request;
  if (!request.trace.empty())
    write_file(request.trace, [&](std::ostream& out) {
      const PassRun& pass = measured.passes.front();
      write_chrome_trace(out, pass.schedule, Network(request.request.cluster, request.placement), pass.result.trace,
                         all_ranks(request.problem().ranks));
    });
  if (!request.json.empty()) write_file(request.json, [&](std::ostream& out) { write_json(out, measured); });
  if (request.json != "-" && request.trace != "-") print(std::cout, measured);
}

int run_on_devices(const po::variables_map& given) {
  return gpu::in_job([&](const gpu::Job& job) { return measure(read_run_request(given, job), job, report); });
}

}  // namespace

Verb run_verb() {
  Verb verb{
      "run", "a schedule on the GPUs of this machine, or of a job of mpirun or srun; checks the numbers",
      "  meshattn run --cluster dgx-h100 --gpus 8 --ranks-per-gpu 8 --heads 32 --kv-heads 8 --head-dim 128 \\\n"
      "      --seq 32K --mask causal --algorithm mesh --tile 2x4 --pass both\n"
      "  mpirun -n 16 meshattn run --schedule schedule.txt --cluster dgx-h100 --transport nccl\n"
      "  meshattn run --device cpu --cluster ideal-8x50 --gpus 4 --heads 4 --head-dim 64 --seq 512 --algorithm ring\n",
      po::options_description(), run_on_devices};
  add_run_options(verb.options);
  return verb;
}

}  // namespace meshattn
