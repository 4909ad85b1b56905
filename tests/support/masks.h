#pragma once

#include <random>
#include <string>

#include "core/problem/problem.h"

namespace meshattn::testing {

/// Random documents of so many tokens: a few long ones, or many short ones.
[[nodiscard]] Documents random_documents(std::int64_t tokens, std::mt19937& random);

/// A small problem with any mask, partition, cuts, cached prefix and number of ranks from 1 to `most_ranks`, as far as
/// they fit: one head, head dimension 2. Lengths do not divide as a rule.
[[nodiscard]] Problem random_problem(std::mt19937& random, int most_ranks);

/// All of it, for messages.
[[nodiscard]] std::string describe(const Problem& problem);

}  // namespace meshattn::testing
