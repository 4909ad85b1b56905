#include "tests/support/mutants/mutate.h"

#include <iterator>
#include <utility>

#include "tests/support/mutants/mutator.h"

namespace meshattn::testing {

Mutant Mutator::run() {
  using Mutation = std::string (Mutator::*)();
  static constexpr Mutation kMutations[] = {&Mutator::drop_op,
                                            &Mutator::swap_ops,
                                            &Mutator::duplicate_op,
                                            &Mutator::move_op,
                                            &Mutator::shrink_value,
                                            &Mutator::shrink_transfer,
                                            &Mutator::resize_rectangle,
                                            &Mutator::edit_combine,
                                            &Mutator::edit_exchange,
                                            &Mutator::edit_outputs,
                                            &Mutator::retarget_transfer,
                                            &Mutator::retarget_rectangle,
                                            &Mutator::retarget_combine_or_delta,
                                            &Mutator::retarget_wait,
                                            &Mutator::drop_wait,
                                            &Mutator::drop_wait,
                                            &Mutator::move_value,
                                            &Mutator::move_value,
                                            &Mutator::change_lane,
                                            &Mutator::change_value,
                                            &Mutator::change_heads,
                                            &Mutator::change_part};
  std::string what;
  while (what.empty()) what = (this->*kMutations[below(std::size(kMutations))])();
  return {std::move(s_), std::move(what)};
}

ValueId Mutator::other(ValueId v) {
  std::vector<ValueId> similar;
  for (ValueId o = 0; o < s_.values.size(); ++o)
    if (o != v && s_.values[o].rank == s_.values[v].rank && s_.values[o].tensor == s_.values[v].tensor)
      similar.push_back(o);
  return similar.empty() || below(8) == 0 ? id_below(s_.values.size()) : any(similar);
}

Mutant mutate(const Schedule& schedule, std::mt19937& random) { return Mutator(schedule, random).run(); }

}  // namespace meshattn::testing
