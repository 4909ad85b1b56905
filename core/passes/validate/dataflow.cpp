#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "core/passes/validate/checks.h"

namespace meshattn::validation {

namespace {

constexpr OpId kGiven = kNone - 1;  ///< "made by": an input

class DataflowCheck {
 public:
  DataflowCheck(const Schedule& s, Findings& found) : s_(s), found_(found), uses_(s.values.size()) {}

  void run() {
    for (ValueId v : s_.inputs) check_input(v);
    for_each_op(s_, found_, [&](Rank rank, OpId op, const Op& step) {
      for_each_operand(
          s_, step, rank, [&](ValueId v) { read(rank, op, v); }, [&](ValueId v) { make(rank, op, v); });
    });
    check_ends();
  }

 private:
  struct Use {
    OpId maker = kNone;   ///< last so far
    OpId reader = kNone;  ///< last so far
  };

  void read(Rank rank, OpId op, ValueId v);
  void make(Rank rank, OpId op, ValueId v);
  void check_input(ValueId v);
  void check_output(ValueId v);
  void check_ends();

  [[nodiscard]] bool contributes(OpId op) const {
    return std::holds_alternative<Attend>(s_.ops[op]) || std::holds_alternative<AttendBackward>(s_.ops[op]);
  }
  [[nodiscard]] bool owned(ValueId v) const {
    return std::ranges::all_of(s_.region(v).cells,
                               [&](Cell cell) { return s_.problem.owner(cell) == s_.values[v].rank; });
  }
  void bad(OpId op, ValueId v, std::string_view what) {
    found_.add({s_.values[v].rank, op, v, fmt::format("{} {}", describe(s_, v), what)});
  }

  const Schedule& s_;
  Findings& found_;
  std::vector<Use> uses_;
};

void DataflowCheck::read(Rank rank, OpId op, ValueId v) {
  Use& use = uses_[v];
  if (use.maker == kNone)
    bad(op, v, fmt::format("is read by op {} of rank {} before it is made", op, rank));
  else if (use.maker == op)
    bad(op, v, fmt::format("is read by op {} of rank {}, which makes it", op, rank));
  if (use.reader != kNone && is_sum(s_, v))
    bad(op, v, fmt::format("is a sum and read twice, by op {} and op {} of rank {}", use.reader, op, rank));
  use.reader = op;
}

void DataflowCheck::make(Rank rank, OpId op, ValueId v) {
  Use& use = uses_[v];
  if (use.maker == kGiven)
    bad(op, v, fmt::format("is an input and made by op {} of rank {}", op, rank));
  else if (use.maker != kNone && !(contributes(use.maker) && contributes(op)))
    bad(op, v, fmt::format("is made twice, by op {} and op {} of rank {}", use.maker, op, rank));
  if (use.reader != kNone)
    bad(op, v, fmt::format("is made by op {} of rank {} after op {} has read it", op, rank, use.reader));
  use.maker = op;
}

void DataflowCheck::check_input(ValueId v) {
  const Tensor tensor = s_.values[v].tensor;
  const bool backward = s_.problem.pass == Pass::kBackward;
  const bool allowed = tensor == Tensor::kQ || tensor == Tensor::kKV ||
                       (backward && (tensor == Tensor::kO || tensor == Tensor::kDO || tensor == Tensor::kDelta));
  if (!allowed) bad(kNone, v, "is an input, but nobody has it before this pass");
  const Dtype dtype = tensor == Tensor::kDelta ? Dtype::kFp32 : s_.problem.shape.dtype;
  if (s_.values[v].dtype != dtype) bad(kNone, v, fmt::format("is an input and should be {}", name_of(dtype)));
  if (!owned(v)) bad(kNone, v, fmt::format("is an input, but rank {} does not own its cells", s_.values[v].rank));
  uses_[v].maker = kGiven;
}

void DataflowCheck::check_output(ValueId v) {
  const Value& value = s_.values[v];
  if (!is_sum(s_, v)) bad(kNone, v, "is an output, but no result of this pass");
  if (value.dtype != s_.problem.shape.dtype)
    bad(kNone, v, fmt::format("is an output and should be {}", name_of(s_.problem.shape.dtype)));
  if (!owned(v)) bad(kNone, v, fmt::format("is an output, but rank {} does not own its cells", value.rank));
  if (uses_[v].maker == kNone) bad(kNone, v, "is an output and never made");
  if (uses_[v].reader != kNone && is_sum(s_, v))
    bad(uses_[v].reader, v, fmt::format("is a sum, an output and read by op {}", uses_[v].reader));
}

void DataflowCheck::check_ends() {
  auto output = s_.outputs.begin();
  for (ValueId v = 0; v < s_.values.size() && !found_.full(); ++v) {
    if (output != s_.outputs.end() && *output == v) {
      check_output(v);
      ++output;
    } else if (uses_[v].reader == kNone && uses_[v].maker != kGiven) {
      bad(uses_[v].maker, v, "is neither read nor an output");
    }
  }
}

}  // namespace

void check_dataflow(const Schedule& s, Findings& found) { DataflowCheck(s, found).run(); }

}  // namespace meshattn::validation
