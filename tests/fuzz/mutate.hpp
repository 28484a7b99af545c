// Random changes to an input, for the smoke run; libFuzzer has its own.
#pragma once

#include <random>
#include <string>
#include <vector>

namespace balancer::fuzz {

// The same seed gives the same inputs on every machine: only the generator's own numbers are used,
// none of the standard distributions.
class Mutator {
  public:
    // Both live longer than this.
    Mutator(
        const std::vector<std::string>& seeds, const std::vector<std::string>& words, unsigned seed
    )
        : seeds_(seeds), words_(words), random_(seed) {}

    // One of the seeds after up to eight changes.
    std::string next();

  private:
    std::size_t below(std::size_t end) { return end == 0 ? 0 : random_() % end; }
    void change(std::string& input);

    const std::vector<std::string>& seeds_;
    const std::vector<std::string>& words_;
    std::mt19937 random_;
};

}  // namespace balancer::fuzz
