using System.Diagnostics;
using System.IO.MemoryMappedFiles;

namespace LlamaCluster.Fuzz.Tests.Campaigns;

/// <summary>What came of a campaign.</summary>
/// <param name="Kept">Inputs that went where none went before.</param>
/// <param name="MostAllocated">Bytes that one run allocated at most.</param>
/// <param name="Fault">What the product did wrong, with the input that made it do so; null: nothing.</param>
sealed record CampaignFigures(string Target, long Runs, int Kept, int Edges, TimeSpan Slowest, long MostAllocated, long PeakMemory, string? Fault)
{
    public override string ToString() =>
        $"{Target}: {Runs} runs, {Kept} inputs kept, {Edges} edges, slowest {Slowest.TotalMilliseconds:0} ms, most allocated {MostAllocated >> 20} MiB, "
        + $"peak memory of the process {PeakMemory >> 20} MiB, {(Fault is null ? "no fault" : $"FAULT: {Fault}")}";
}

/// <summary>
/// Tries a target with input that is damaged again and again. Input that takes a new way through the product is kept, and damaged further. A run must end soon,
/// allocate within a bound, and throw nothing that the target does not expect.
/// </summary>
sealed class FuzzCampaign(string name, OpenTarget target, CoverageMap coverage, int seed, string? folder)
{
    /// <summary>A run that takes longer hangs. On a free machine the slowest take a second; tests share theirs with others.</summary>
    static readonly TimeSpan Longest = TimeSpan.FromSeconds(60);

    /// <summary>Bytes that one run may allocate, whether it keeps them or not.</summary>
    const long MostAllocated = 2L << 30;

    /// <summary>Threads that serve requests have as much.</summary>
    const int StackBytes = 3 << 19;

    const int MostKept = 20_000;

    readonly List<byte[]> _kept = [];
    readonly Random _random = new(seed);
    long _runs;
    long _allocated;
    TimeSpan _slowest;
    long _begun;
    byte[] _input = [];
    string? _fault;

    public CampaignFigures Run(TimeSpan budget)
    {
        var until = Stopwatch.GetTimestamp() + (long)(budget.TotalSeconds * Stopwatch.Frequency);
        _begun = Stopwatch.GetTimestamp();
        var thread = new Thread(() => TryAll(until), StackBytes) { IsBackground = true, Name = $"fuzzing {name}" };
        thread.Start();
        while (!thread.Join(TimeSpan.FromMilliseconds(200)))
        {
            if (Stopwatch.GetElapsedTime(Volatile.Read(ref _begun)) < Longest) continue;
            _fault ??= $"hangs: a run has not ended after {Longest.TotalSeconds} s. Its input: {Describe(_input)}";
            break;
        }
        using var process = Process.GetCurrentProcess();
        return new(name, _runs, _kept.Count, coverage.Edges, _slowest, _allocated, process.PeakWorkingSet64, _fault);
    }

    void TryAll(long until)
    {
        using var last = LastInput.Open(folder, name);
        foreach (var input in target.Seeds)
        {
            _kept.Add(input);
            if (!Try(input, last)) return;
        }
        var mutator = new InputMutator(target.Words, seed);
        while (Stopwatch.GetTimestamp() < until)
        {
            var input = mutator.Next(Parent(), _kept[_random.Next(_kept.Count)]);
            if (!Try(input, last)) return;
        }
    }

    /// <summary>Those that were found last are damaged as often as all others.</summary>
    byte[] Parent() => _random.Next(2) == 0 ? _kept[_random.Next(_kept.Count)] : _kept[^Math.Min(_kept.Count, 1 + _random.Next(16))];

    bool Try(byte[] input, LastInput last)
    {
        last.Write(input);   // a stack that overflows ends the process, and this is what is left
        var before = GC.GetTotalAllocatedBytes();
        coverage.Begin();
        _input = input;
        var begun = Stopwatch.GetTimestamp();
        Volatile.Write(ref _begun, begun);
        try
        {
            target.Run(input);
        }
        catch (Exception e)
        {
            _fault = $"throws {e}\nIts input: {Describe(input)}";
            return false;
        }
        var took = Stopwatch.GetElapsedTime(begun);
        Volatile.Write(ref _begun, Stopwatch.GetTimestamp());
        var allocated = GC.GetTotalAllocatedBytes() - before;
        (_runs, _allocated) = (_runs + 1, Math.Max(_allocated, allocated));
        if (took > _slowest)
        {
            _slowest = took;
            if (folder is not null) File.WriteAllBytes(PathOf("slowest"), input);
        }
        if (allocated > MostAllocated)
        {
            _fault = $"allocates {allocated >> 20} MiB. Its input: {Describe(input)}";
            return false;
        }
        if (coverage.Learn() && _kept.Count < MostKept) _kept.Add(input);
        return true;
    }

    string Describe(byte[] input)
    {
        if (folder is null) return input.Length <= 4096 ? Convert.ToBase64String(input) : $"{input.Length} bytes; set {FuzzTests.FolderVariable} to keep it";
        File.WriteAllBytes(PathOf("fault"), input);
        return PathOf("fault");
    }

    string PathOf(string kind) => Path.Combine(folder!, $"{name.Replace(' ', '-')}.{kind}");
}

/// <summary>The input that is tried, in a file that outlives the process; or nowhere.</summary>
sealed class LastInput(MemoryMappedViewAccessor? view, MemoryMappedFile? file) : IDisposable
{
    public static LastInput Open(string? folder, string name)
    {
        if (folder is null) return new(null, null);
        var file = MemoryMappedFile.CreateFromFile(
            Path.Combine(folder, $"{name.Replace(' ', '-')}.last"), FileMode.Create, mapName: null, sizeof(int) + InputMutator.Longest);
        return new(file.CreateViewAccessor(), file);
    }

    /// <summary>Its length as 32 bits, and its bytes.</summary>
    public void Write(byte[] input)
    {
        view?.Write(0, input.Length);
        view?.WriteArray(sizeof(int), input, 0, Math.Min(input.Length, InputMutator.Longest));
    }

    public void Dispose()
    {
        view?.Dispose();
        file?.Dispose();
    }
}
