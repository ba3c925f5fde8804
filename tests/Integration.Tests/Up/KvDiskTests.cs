using System.Net.Http.Json;
using System.Text.Json;
using LlamaCluster.Integration.Tests.Network;
using LlamaCluster.Testing;

namespace LlamaCluster.Integration.Tests.Up;

/// <summary>KV blocks on disk, with real processes that are killed.</summary>
public sealed class KvDiskTests : IDisposable
{
    const int Workers = 2;

    static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(50);

    readonly TempFolder _folder = new();

    /// <summary>Ids of the demo model's vocabulary.</summary>
    static int[] Prompt { get; } = [.. Enumerable.Range(0, 500).Select(i => 300 + (i * 37 % 1000))];

    string[] Options => ["--workers", $"{Workers}", "--threads-per-worker", "1", "--kv-disk", _folder.Path, "--kv-disk-size", "64MiB"];

    [Fact]
    public async Task A_cluster_that_is_killed_goes_on_where_it_was()
    {
        await using (var first = await LocalCluster.StartAsync(Options))
        {
            Assert.Equal(0, (await CompleteAsync(first.Http, Prompt)).Cached);
            await FilledAsync(blocks: Prompt.Length / 16, first.Process);
            var workers = Signals.ChildrenOf(first.Process.Id);
            foreach (var process in workers.Select(worker => worker.Id).Append(first.Process.Id)) await Signals.SendAsync("KILL", process);
            Assert.Equal(137, await first.Process.ExitAsync());
            foreach (var worker in workers) await Signals.AssertGoneAsync(worker);
        }
        int[] next = [.. Prompt, .. Enumerable.Range(400, 9)];
        await using var second = await LocalCluster.StartAsync(Options);
        await using var plain = await LocalCluster.StartAsync("--workers", "1", "--threads-per-worker", "1");
        var (text, cached) = await CompleteAsync(second.Http, next);
        Assert.InRange(next.Length - cached, 1, 9 + 32);
        Assert.Equal((await CompleteAsync(plain.Http, next)).Text, text);
    }

    [Fact]
    public async Task A_second_worker_on_the_same_folder_is_refused()
    {
        string[] worker = ["worker", "--coordinator", "http://127.0.0.1:1", "--threads", "1", "--memory", "1GB", "--kv-disk", _folder.Path, "--kv-disk-size", "1MB"];
        await using var first = CliProcess.Start(worker);
        await first.ErrorLineAsync("Not registered with the coordinator");
        await using var second = CliProcess.Start(worker);
        await second.ErrorLineAsync($"--kv-disk: another worker uses {_folder.Path} (");
        Assert.Equal(1, await second.ExitAsync());
        // The folder is free again at once, however its worker ended.
        await Signals.SendAsync("KILL", first.Id);
        Assert.Equal(137, await first.ExitAsync());
        await using var third = CliProcess.Start(worker);
        await third.ErrorLineAsync("Not registered with the coordinator");
    }

    [SmallDiskFact]
    public async Task A_disk_that_is_full_stops_nobody()
    {
        await using var process = CliProcess.StartUnder(SmallDiskFactAttribute.With(_folder.Path, "400k"), ["up", "--port", "0", .. Options]);
        using var http = new HttpClient { BaseAddress = new Uri((await process.OutputLineAsync()).Split(' ')[1]), Timeout = CliProcess.Deadline };
        var (first, _) = await CompleteAsync(http, Prompt);
        await process.ErrorLineAsync("A KV block cannot be written to");
        int[] other = [.. Prompt.Reverse()];
        await CompleteAsync(http, other);
        Assert.Equal(first, (await CompleteAsync(http, Prompt)).Text);
    }

    public void Dispose() => _folder.Dispose();

    static async Task<(string Text, int Cached)> CompleteAsync(HttpClient http, int[] prompt)
    {
        using var answer = await http.PostAsJsonAsync("/v1/completions", new { prompt, max_tokens = 12, temperature = 0 });
        using var json = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());
        Assert.True(answer.IsSuccessStatusCode, json.RootElement.ToString());
        return (
            json.RootElement.GetProperty("choices")[0].GetProperty("text").GetString()!,
            json.RootElement.GetProperty("usage").GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32());
    }

    /// <summary>Waits until every worker's files say that they have so many blocks.</summary>
    async Task FilledAsync(int blocks, CliProcess process)
    {
        using var deadline = new CancellationTokenSource(CliProcess.Deadline);
        using var timer = new PeriodicTimer(Interval);
        try
        {
            while (!Enumerable.Range(1, Workers).All(worker => Filled(Path.Combine(_folder.Path, $"worker-{worker}")) >= blocks)) await timer.WaitForNextTickAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"the workers have not written {blocks} blocks within {CliProcess.Deadline}:\n{process.Log}");
        }
    }

    /// <summary>Entries of tables that say that their slot was used (docs/kv-cache.md has the files' form).</summary>
    static int Filled(string folder) => Directory.GetFiles(folder, "*.kv", SearchOption.AllDirectories).Sum(path =>
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        var bytes = new byte[Math.Min(file.Length, 4096 + (4096 * 64))];
        file.ReadExactly(bytes);
        return Enumerable.Range(0, Math.Max(0, (bytes.Length - 4096) / 64)).Count(slot => slot < BitConverter.ToInt32(bytes, 12) && BitConverter.ToUInt64(bytes, 4096 + (slot * 64) + 48) > 0);
    });
}

/// <summary>A test that mounts a small file system; where that cannot be done it is reported as not run, with the reason.</summary>
public sealed class SmallDiskFactAttribute : FactAttribute
{
    static readonly Lazy<string?> Tried = new(() =>
    {
        try
        {
            SystemCommand.Run([.. With("/mnt", "100k"), "true"]);
            return null;
        }
        catch (Exception e) when (e is InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            return e.Message;
        }
    });

    public SmallDiskFactAttribute()
    {
        if (Tried.Value is { } why) Skip = $"not run: {why}";
    }

    /// <summary>Runs a program that sees a file system of its own, of so many bytes, at a folder.</summary>
    internal static string[] With(string folder, string size) => ["unshare", "-Urm", "sh", "-c", $"mount -t tmpfs -o size={size} none '{folder}' && exec \"$@\"", "sh"];
}
