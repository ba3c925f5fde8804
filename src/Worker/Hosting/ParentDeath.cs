using System.Runtime.InteropServices;

namespace LlamaCluster.Worker.Hosting;

/// <summary>
/// Lets Linux end this process when the one that started it ends, in whatever way: <see cref="InputWatch"/> needs this process to run, and a process
/// that was stopped (SIGSTOP, a frozen container) does not. Other systems have nothing like it.
/// </summary>
static class ParentDeath
{
    const int SetSignal = 1;   // PR_SET_PDEATHSIG, prctl(2)
    const nuint Kill = 9;

    /// <summary>
    /// The system counts the thread that started this process as its parent, so that thread must live as long as this process is to live. If the parent
    /// is gone already, nothing happens here, and the end of stdin tells.
    /// </summary>
    public static void EndsThisProcess()
    {
        if (OperatingSystem.IsLinux()) _ = Control(SetSignal, Kill, 0, 0, 0);
    }

    [DllImport("libc", EntryPoint = "prctl")]
    static extern int Control(int option, nuint argument, nuint none3, nuint none4, nuint none5);
}
