#include "tests/fuzz/mutate.hpp"

namespace balancer::fuzz {
namespace {

constexpr std::size_t kBytesMax = 4096;

}  // namespace

std::string Mutator::next() {
    std::string input = seeds_[below(seeds_.size())];
    for (std::size_t changes = below(9); changes > 0; --changes) change(input);
    if (input.size() > kBytesMax) input.resize(kBytesMax);
    return input;
}

void Mutator::change(std::string& input) {
    std::size_t at = below(input.size() + 1);
    switch (below(7)) {
        case 0:
            if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << below(8)));
            break;
        case 1:
            if (at < input.size()) input[at] = static_cast<char>(below(256));
            break;
        case 2:
            input.erase(at, 1 + below(8));
            break;
        case 3:
            input.insert(at, words_[below(words_.size())]);
            break;
        case 4:
            input.insert(at, input.substr(below(input.size() + 1), below(32)));
            break;
        case 5: {
            const std::string& other = seeds_[below(seeds_.size())];
            input = input.substr(0, at) + other.substr(below(other.size() + 1));
            break;
        }
        default:
            input.replace(at, 1 + below(4), words_[below(words_.size())]);
            break;
    }
}

}  // namespace balancer::fuzz
