#pragma once

#include <random>
#include <string>

#include "core/problem/problem.h"

namespace meshattn::testing {

/// Random documents of `tokens` tokens in all: a few long ones or many short ones.
[[nodiscard]] Documents random_documents(std::int64_t tokens, std::mt19937& random);

/// A small valid problem with any mask, partition, cuts, cached prefix and 1 to `most_ranks` ranks; few kv-heads of
/// dimension 2, lengths that usually do not divide.
[[nodiscard]] Problem random_problem(std::mt19937& random, int most_ranks);

/// All properties of a random problem, for messages.
[[nodiscard]] std::string describe(const Problem& problem);

}  // namespace meshattn::testing
