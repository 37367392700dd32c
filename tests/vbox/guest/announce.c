/*
 * Tells VirtualBox that this guest takes part in CPU hot-plug, which is what VBoxService says
 * when it starts, and only then.  VirtualBox keeps that in no saved state: in a restored guest
 * VBoxService goes on waiting for events, but VirtualBox refuses every unplug until it is told
 * again.
 */
#include <fcntl.h>
#include <linux/vbox_vmmdev_types.h>
#include <linux/vboxguest.h>
#include <stdio.h>
#include <sys/ioctl.h>

#define CPU_HOTPLUG_ENABLED 2 /* VMMDevCpuStatusType_Enable of VirtualBox's VMMDev.h */

int main(void)
{
    struct {
        struct vbg_ioctl_hdr header;
        __u32 status;
    } request = {
        .header = {.size_in = sizeof request,
                   .version = VBG_IOCTL_HDR_VERSION,
                   .type = VMMDEVREQ_SET_CPU_HOTPLUG_STATUS,
                   .size_out = sizeof request},
        .status = CPU_HOTPLUG_ENABLED,
    };
    int device = open("/dev/vboxguest", O_RDWR);
    if (device < 0) {
        perror("/dev/vboxguest");
        return 1;
    }
    if (ioctl(device, VBG_IOCTL_VMMDEV_REQUEST(sizeof request), &request) != 0) {
        perror("VBG_IOCTL_VMMDEV_REQUEST");
        return 1;
    }
    if (request.header.rc < 0) {
        fprintf(stderr, "VirtualBox answered %d\n", request.header.rc);
        return 1;
    }
    return 0;
}
