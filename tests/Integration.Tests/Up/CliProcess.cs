using System.Collections.Concurrent;
using System.Diagnostics;
using System.Threading.Channels;
using LlamaCluster.Testing;

namespace LlamaCluster.Integration.Tests.Up;

/// <summary>A running `llamacluster`, which goes away with the test.</summary>
sealed class CliProcess : IAsyncDisposable
{
    /// <summary>For anything a test waits for; machines may be slow and busy.</summary>
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(120);

    /// <summary>That of this build; LLAMACLUSTER_TEST_PROGRAM names another one, such as one that was published for measuring.</summary>
    static readonly string Program = Environment.GetEnvironmentVariable("LLAMACLUSTER_TEST_PROGRAM") ?? Path.Combine(AppContext.BaseDirectory, "llamacluster");

    const string StateHome = "XDG_STATE_HOME";

    readonly TempFolder _state = new();
    readonly Process _process;
    readonly Channel<string> _output = Channel.CreateUnbounded<string>();
    readonly Channel<string> _errors = Channel.CreateUnbounded<string>();
    readonly ConcurrentQueue<string> _everything = [];

    CliProcess(Process process) => _process = process;

    public int Id => _process.Id;

    /// <summary>All lines of both streams so far, for messages of failed tests.</summary>
    public string Log => string.Join('\n', _everything);

    public static CliProcess Start(params string[] args) => StartUnder([], args);

    /// <param name="runner">A command that runs the program with its arguments; empty: none.</param>
    public static CliProcess StartUnder(string[] runner, params string[] args) => StartWith([], runner, args);

    /// <param name="environment">Variables that are set; null removes one.</param>
    public static CliProcess StartWith(Dictionary<string, string?> environment, params string[] args) => StartWith(environment, [], args);

    static CliProcess StartWith(Dictionary<string, string?> environment, string[] runner, string[] args) =>
        StartProgram(environment, [.. runner, Program, .. args]);

    /// <summary>
    /// Who runs tests in the background of a shell script has them ignore SIGINT, and so would the programs that they start: that is taken back.
    /// </summary>
    static readonly string[] WithSignals = OperatingSystem.IsLinux() ? ["env", "--default-signal=INT,QUIT"] : [];

    /// <param name="command">Another program than that of this build, and its arguments.</param>
    public static CliProcess StartProgram(Dictionary<string, string?> environment, string[] command)
    {
        command = [.. WithSignals, .. command];
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (name, value) in environment) start.Environment[name] = value;
        var started = new CliProcess(new Process { StartInfo = start });
        if (!environment.ContainsKey(StateHome)) start.Environment[StateHome] = started._state.Path;   // nothing of a test stays with the user
        started._process.OutputDataReceived += (_, line) => started.Take(line.Data, started._output.Writer);
        started._process.ErrorDataReceived += (_, line) => started.Take(line.Data, started._errors.Writer);
        started._process.Start();
        started._process.BeginOutputReadLine();
        started._process.BeginErrorReadLine();
        return started;
    }

    /// <summary>The next line of stdout.</summary>
    public Task<string> OutputLineAsync() => LineAsync(_output.Reader, _ => true, "a line of stdout");

    /// <summary>The next line of stderr that has the text.</summary>
    public Task<string> ErrorLineAsync(string part) => LineAsync(_errors.Reader, line => line.Contains(part), $"'{part}' on stderr");

    public async Task TypeAsync(string line)
    {
        await _process.StandardInput.WriteLineAsync(line);
        await _process.StandardInput.FlushAsync();
    }

    public void CloseInput() => _process.StandardInput.Close();

    /// <returns>Its exit code.</returns>
    public async Task<int> ExitAsync()
    {
        using var deadline = new CancellationTokenSource(Deadline);
        try
        {
            await _process.WaitForExitAsync(deadline.Token);
            return _process.ExitCode;
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"process {Id} did not end within {Deadline}:\n{Log}");
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited) _process.Kill();
        await ExitAsync();
        _process.Dispose();
        _state.Dispose();
    }

    void Take(string? line, ChannelWriter<string> lines)
    {
        if (line is null)
        {
            lines.TryComplete();
            return;
        }
        _everything.Enqueue(line);
        lines.TryWrite(line);
    }

    async Task<string> LineAsync(ChannelReader<string> lines, Func<string, bool> wanted, string what)
    {
        using var deadline = new CancellationTokenSource(Deadline);
        try
        {
            await foreach (var line in lines.ReadAllAsync(deadline.Token))
                if (wanted(line)) return line;
            throw new InvalidOperationException($"process {Id} ended without {what}:\n{Log}");
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"process {Id} did not write {what} within {Deadline}:\n{Log}");
        }
    }
}
