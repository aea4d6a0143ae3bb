// SPDX-License-Identifier: Apache-2.0
//
// This program knows nothing of ffgrant. It loads a plugin that contains ffgrant, and calls the
// plugin.

#include <dlfcn.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  void* plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (plugin == nullptr) {
    std::puts(dlerror());
    return 3;
  }
  const auto create_one = reinterpret_cast<int (*)()>(dlsym(plugin, "CreateOne"));
  if (create_one == nullptr || create_one() != 1) return 4;
  return dlclose(plugin);
}
