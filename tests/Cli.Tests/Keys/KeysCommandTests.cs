using LlamaCluster.Coordinator.Api.Keys;
using LlamaCluster.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace LlamaCluster.Cli.Tests.Keys;

public sealed class KeysCommandTests : IDisposable
{
    readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_key_is_printed_once_and_its_hash_is_kept()
    {
        var first = await AddAsync("alice");
        File.WriteAllText(_folder.File("keys"), File.ReadAllText(_folder.File("keys")).TrimEnd('\n'));   // as editors leave it
        var second = await AddAsync("ops", "--scopes", "metrics,admin");

        var keys = new ApiKeys(_folder.File("keys"), TimeProvider.System, NullLogger<ApiKeys>.Instance);
        Assert.Equal(new ApiCaller("alice", ApiScopes.Inference), keys.Find(first));
        Assert.Equal(new ApiCaller("ops", ApiScopes.Admin), keys.Find(second));
        Assert.DoesNotContain(first[4..], File.ReadAllText(_folder.File("keys")));
        if (!OperatingSystem.IsWindows()) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_folder.File("keys")));
    }

    [Fact]
    public async Task What_a_key_may_use_is_in_its_line()
    {
        var key = await AddAsync("alice", "--requests-per-minute", "60", "--tokens-per-minute", "100000", "--concurrent", "8", "--priority-floor", "5");
        var keys = new ApiKeys(_folder.File("keys"), TimeProvider.System, NullLogger<ApiKeys>.Instance);
        Assert.Equal(new KeyLimits(60, 100_000, 8, 5), keys.Find(key)!.Limits);
    }

    [Theory]
    [InlineData("--concurrent", "0", "--concurrent is 0; it must be a whole number from 1 to 2147483647")]
    [InlineData("--name", "a b", "--name is 'a b'; it must have 1 to 64 letters, digits or . _ - @")]
    [InlineData("--scopes", "root", "--scopes is 'root'; there are inference, metrics, admin")]
    public async Task What_is_no_name_or_scope_is_wrong_usage(string option, string value, string problem)
    {
        string[] name = option == "--name" ? [] : ["--name", "a"];
        var run = await CommandRun.OfAsync("", ["keys", "add", "--file", _folder.File("keys"), .. name, option, value]);
        Assert.Equal((2, $"error: {problem}"), (run.ExitCode, run.ErrorLine));
        Assert.False(File.Exists(_folder.File("keys")));
    }

    [Fact]
    public async Task Nothing_is_added_to_a_file_of_something_else()
    {
        File.WriteAllText(_folder.File("keys"), "llama: true\n");
        var run = await CommandRun.OfAsync("", "keys", "add", "--file", _folder.File("keys"), "--name", "a");
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("line 1 is not of the form NAME SCOPES", run.ErrorLine);
        Assert.Equal("llama: true\n", File.ReadAllText(_folder.File("keys")));
    }

    async Task<string> AddAsync(string name, params string[] more)
    {
        var run = await CommandRun.OfAsync("", ["keys", "add", "--file", _folder.File("keys"), "--name", name, .. more]);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        return run.Output.TrimEnd();
    }
}
