/*
 * In place of VBoxHeadless, this runs a VM without VirtualBox's kernel driver.
 *
 * VirtualBox can run a VM in its interpreter (IEM) alone, in user space. It does so in its
 * "driverless" mode, for which its support library has a flag, but which no program of a release
 * asks for. This one does, and then runs VirtualBox's own headless front end, with the arguments
 * that VBoxSVC gives it for `VBoxManage startvm NAME --type headless`. All else is VirtualBox as
 * it was packaged.
 *
 *   gcc -O2 -rdynamic -o headless headless.c
 */
#include <dlfcn.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * Flags of RTR3InitExe, whose upper half is for the support library: 4 is driverless, 8 allows
 * the interpreter. Of the lower half, bit 3 ("unobtrusive") must not be set: RTTimerCreateEx then
 * refuses, and no VM can be created (VERR_NOT_SUPPORTED).
 */
#define INIT_FLAGS (0x2u | (0x4u | 0x8u) << 16)

#define VERR_SEM_BUSY (-360)

/* Tries to take a contended lock before it queues for it: see below. */
#define TRIES 3000
#define TRIES_BEFORE_YIELD 100

static void *must(void *found, const char *what)
{
    if (!found) {
        fprintf(stderr, "headless: %s: %s\n", what, dlerror());
        exit(71); /* EX_OSERR */
    }
    return found;
}

static void *load(const char *name)
{
    char path[100];
    snprintf(path, sizeof path, "/usr/lib/virtualbox/%s", name);
    return must(dlopen(path, RTLD_NOW | RTLD_GLOBAL), name);
}

static void *symbol(void *library, const char *name)
{
    return must(dlsym(library, name), name);
}

static int (*try_enter)(void *, void *);
static int (*enter)(void *, void *, int);

/*
 * Enter a critical section; VBoxVMM.so calls this one instead of its own.
 *
 * The interpreter takes the VM-wide lock of guest memory for each guest instruction. VirtualBox
 * hands a contended lock to the first in its queue, with a futex wake for each instruction, and
 * two busy vCPUs stall each other for tens of seconds. Who tries and backs off instead of
 * queueing makes nobody hand over anything. VBoxVMM.so calls PDMCritSectEnter through its
 * procedure linkage table, so that the definition in the executable comes first; the executable
 * has to export it (-rdynamic).
 */
int PDMCritSectEnter(void *vm, void *section, int if_busy)
{
    for (int i = 1; i <= TRIES; i++) {
        int status = try_enter(vm, section);
        if (status != VERR_SEM_BUSY)
            return status;
        if (i % TRIES_BEFORE_YIELD == 0)
            sched_yield();
        else
            __builtin_ia32_pause();
    }
    return enter(vm, section, if_busy);
}

int main(int argc, char **argv, char **envp)
{
    int (*init)(int, char ***, uint32_t);
    int (*run)(int, char **, char **);

    void *runtime = load("VBoxRT.so");
    init = (int (*)(int, char ***, uint32_t))symbol(runtime, "RTR3InitExe");
    int status = init(argc, &argv, INIT_FLAGS);
    if (status < 0) {
        fprintf(stderr, "headless: RTR3InitExe: %d\n", status);
        return 71;
    }
    void *machine = load("VBoxVMM.so");
    try_enter = (int (*)(void *, void *))symbol(machine, "PDMCritSectTryEnter");
    enter = (int (*)(void *, void *, int))symbol(machine, "PDMCritSectEnter");
    void *front_end = load("VBoxHeadless.so");
    run = (int (*)(int, char **, char **))symbol(front_end, "TrustedMain");
    return run(argc, argv, envp);
}
