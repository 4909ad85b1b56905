#include "experiments/measure.h"

#include <algorithm>
#include <chrono>

#include "core/error.h"
#include "core/estimate.h"
#include "core/passes/validate.h"
#include "experiments/findings.h"
#include "experiments/probes.h"
#include "gpu/value_bytes.h"

namespace meshattn {

namespace {

using gpu::Job;
using gpu::Kernels;
using gpu::RunOptions;

/// Dense attention on this process's device.
cpu::Tensors dense_on_device(const RunRequest& asked, Pass pass, Dtype dtype, Kernels kernels,
                             const cpu::Tensors& given, const Job& job) {
  RunOptions options;
  options.backend = asked.options.backend;
  options.kernels = kernels;
  options.warm_ups = 0;
  options.repeats = 1;
  options.timeout_s = 3600;
  options.timed = false;
  Problem p = asked.problem();
  p.pass = pass;
  p.shape.dtype = dtype;
  return run(dense_schedule(p), given, options, Job::alone(job.local_rank())).outputs;
}

/// Inputs, rounded to their dtype, with what dense attention makes of them, pass by pass: in double on the CPU if that
/// takes seconds, else by the reference kernels on the device.
cpu::Tensors reference_of(const RunRequest& asked, Pass pass, cpu::Tensors t, const Job& job) {
  const Problem& p = asked.problem();
  const double work = flops(total_pairs(p), p.shape.head_dim, pass) * p.shape.heads * p.shape.batch;
  if (work < 4e9) {
    pass == Pass::kForward ? cpu::dense_forward(p.shape, p.mask, t) : cpu::dense_backward(p.shape, p.mask, t);
    return t;
  }
  cpu::Tensors made = dense_on_device(asked, pass, Dtype::kFp32, Kernels::kReference, t, job);
  for (auto part : {&cpu::Tensors::o, &cpu::Tensors::lse, &cpu::Tensors::dq, &cpu::Tensors::dk, &cpu::Tensors::dv})
    if (!(made.*part).empty()) t.*part = std::move(made.*part);
  return t;
}

PassRun run_pass(const RunRequest& asked, Pass pass, Schedule schedule, double plan_s, cpu::Tensors& tensors,
                 const Job& job) {
  if (const auto findings = validate(schedule); !findings.empty())
    throw InvalidSchedule("the schedule is wrong: " + text_of(findings));
  const Network network(asked.request.cluster, asked.placement);
  const CostModel cost(asked.request.cluster.gpu, schedule.problem);
  PassRun done;
  done.schedule = std::move(schedule);
  done.estimate_s = estimate(done.schedule, network, cost.seconds(done.schedule)).makespan_s;
  if (asked.check) tensors = reference_of(asked, pass, std::move(tensors), job);
  done.result = run(done.schedule, tensors, asked.options, job);
  if (asked.check) {
    done.deviations = deviations(done.schedule, done.result.served, done.result.outputs, tensors, job);
    const cpu::Tensors dense =
        dense_on_device(asked, pass, asked.problem().shape.dtype, asked.options.kernels, tensors, job);
    done.of_dense = deviations(done.schedule, done.result.served, dense, tensors, job);
  }
  if (job.rank() == 0) done.summary = summarise(done.schedule, network, cost, done.result.trace, {plan_s, 0, 0});
  if (asked.check && pass == Pass::kForward) tensors = gpu::rounded(asked.problem().shape, std::move(tensors));
  return done;
}

}  // namespace

std::vector<PassRun> run_passes(RunRequest& asked, const Job& job) {
  const AttentionShape& shape = asked.problem().shape;
  const std::vector<Pass> passes = asked.request.question.passes;
  cpu::Tensors tensors =
      asked.check ? gpu::rounded(shape, cpu::random_tensors(shape, asked.seed)) : unchecked_tensors(shape, asked.seed);
  if (asked.check && passes.front() == Pass::kBackward)
    tensors = gpu::rounded(shape, reference_of(asked, Pass::kForward, std::move(tensors), job));
  asked.options.outputs = asked.check;
  std::vector<PassRun> all;
  for (std::size_t i = 0; i < passes.size(); ++i) {
    const auto begin = std::chrono::steady_clock::now();
    Schedule schedule = asked.schedule ? std::move(*asked.schedule)
                                       : make_plan(asked.passes[i], Network(asked.request.cluster, asked.placement),
                                                   CostModel(asked.request.cluster.gpu, asked.passes[i].problem))
                                             .schedule;
    const double plan_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    all.push_back(run_pass(asked, passes[i], std::move(schedule), plan_s, tensors, job));
  }
  return all;
}

}  // namespace meshattn
