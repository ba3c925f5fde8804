using System.Runtime.InteropServices;

namespace LlamaCluster.Cli.Commands;

/// <summary>SIGINT and SIGTERM, for commands that run until they are told to stop.</summary>
sealed class StopSignals : IDisposable
{
    readonly PosixSignalRegistration _interrupt;
    readonly PosixSignalRegistration _terminate;

    StopSignals(CancellationTokenSource told) => (_interrupt, _terminate) = (On(PosixSignal.SIGINT, told), On(PosixSignal.SIGTERM, told));

    /// <summary>Cancels <paramref name="told"/> at the first of them.</summary>
    public static StopSignals Cancel(CancellationTokenSource told) => new(told);

    public void Dispose()
    {
        _interrupt.Dispose();
        _terminate.Dispose();
    }

    static PosixSignalRegistration On(PosixSignal signal, CancellationTokenSource told) => PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        told.Cancel();
    });
}
