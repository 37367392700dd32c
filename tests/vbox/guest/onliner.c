/*
 * Puts plugged CPUs online, as udev does in a worker by packaging/worker/40-hotslot-cpu.rules.
 *
 * VBoxService does so, too, but only if the kernel knows the CPU already when it looks.
 */
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char prefix[] = "add@/devices/system/cpu/cpu";

int main(void)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK, .nl_groups = 1};
    int events = socket(AF_NETLINK, SOCK_DGRAM, NETLINK_KOBJECT_UEVENT);
    if (events < 0 || bind(events, (struct sockaddr *)&kernel, sizeof kernel) < 0) {
        perror("onliner");
        return 1;
    }
    for (;;) {
        char event[4096], path[128];
        ssize_t length = recv(events, event, sizeof event - 1, 0);
        if (length < 0)
            continue;
        event[length] = 0;
        if (strncmp(event, prefix, sizeof prefix - 1) != 0)
            continue;
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%.8s/online",
                 event + sizeof prefix - 1);
        int online = open(path, O_WRONLY);
        if (online < 0)
            continue;
        if (write(online, "1", 1) != 1)
            perror(path);
        close(online);
    }
}
