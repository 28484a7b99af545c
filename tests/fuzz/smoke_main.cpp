// fuzz_smoke: every target over its seeds and a fixed number of random changes of them, in a few
// seconds and with every compiler. It finds what a change has just broken; finding new things is
// libFuzzer's work (README.md).
//
//   fuzz_smoke                    the fixed run that CTest does
//   fuzz_smoke --rounds N [SEED]  more of it, or another one
//   fuzz_smoke --seeds FOLDER     writes the seeds as a libFuzzer corpus, one folder for each
//   target
#include <fmt/format.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>

#include "tests/fuzz/mutate.hpp"
#include "tests/fuzz/targets.hpp"

namespace balancer::fuzz {
namespace {

constexpr unsigned kRoundsPerTarget = 4'000;
constexpr unsigned kSeed = 20'240'601;

// What runs now, for the message when it ends the program.
std::string_view current_target;
std::string current_input;

// The process is about to end: as much as can be said is said.
void describe_input() {
    std::fprintf(
        stderr,
        "fuzz_smoke: target %.*s, input of %zu bytes (hex):\n",
        static_cast<int>(current_target.size()),
        current_target.data(),
        current_input.size()
    );
    for (unsigned char c : current_input) std::fprintf(stderr, "%02x", c);
    std::fprintf(stderr, "\n");
}

void run(const Target& target, std::string input) {
    current_target = target.name;
    current_input = std::move(input);
    target.run(current_input);
}

int run_all(unsigned rounds, unsigned seed) {
    for (const Target& target : targets()) {
        for (const std::string& input : target.seeds) {
            run(target, input);
            for (std::size_t size = 0; size < input.size(); ++size)
                run(target, input.substr(0, size));
        }
        Mutator mutator(target.seeds, target.words, seed);
        for (unsigned round = 0; round < rounds; ++round) run(target, mutator.next());
        fmt::print("{}: {} inputs from {} seeds\n", target.name, rounds, target.seeds.size());
    }
    return 0;
}

int write_seeds(const std::filesystem::path& folder) {
    for (const Target& target : targets()) {
        std::filesystem::path place = folder / target.name;
        std::filesystem::create_directories(place);
        for (std::size_t i = 0; i < target.seeds.size(); ++i) {
            std::ofstream file(place / fmt::format("seed-{}", i), std::ios::binary);
            file << target.seeds[i];
            if (!file.flush()) {
                fmt::print(stderr, "fuzz_smoke: cannot write to {}\n", place.string());
                return 1;
            }
        }
    }
    return 0;
}

bool read_number(std::string_view text, unsigned& number) {
    auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    return problem == std::errc() && end == text.data() + text.size();
}

int main_of(const std::vector<std::string_view>& arguments) {
    unsigned rounds = kRoundsPerTarget;
    unsigned seed = kSeed;
    if (arguments.empty()) return run_all(rounds, seed);
    if (arguments.size() == 2 && arguments[0] == "--seeds") return write_seeds(arguments[1]);
    bool good = arguments[0] == "--rounds" && arguments.size() >= 2 && arguments.size() <= 3 &&
                read_number(arguments[1], rounds) &&
                (arguments.size() == 2 || read_number(arguments[2], seed));
    if (good) return run_all(rounds, seed);
    fmt::print(stderr, "usage: fuzz_smoke [--rounds N [SEED] | --seeds FOLDER]\n");
    return 2;
}

}  // namespace
}  // namespace balancer::fuzz

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
extern "C" void __sanitizer_set_death_callback(void (*callback)());
#define BALANCER_ON_SANITIZER_DEATH(callback) __sanitizer_set_death_callback(callback)
#endif
#endif
#ifndef BALANCER_ON_SANITIZER_DEATH
#define BALANCER_ON_SANITIZER_DEATH(callback) static_cast<void>(0)
#endif

int main(int argc, char** argv) {
    using namespace balancer::fuzz;
    BALANCER_ON_SANITIZER_DEATH(describe_input);
    std::signal(SIGABRT, [](int) { describe_input(); });
    try {
        return main_of({argv + 1, argv + argc});
    } catch (const std::exception& problem) {
        describe_input();
        std::fprintf(stderr, "fuzz_smoke: %s\n", problem.what());
        return 1;
    }
}
