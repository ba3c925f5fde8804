using System.CommandLine;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Coordinator;

namespace LlamaCluster.Cli.Tests.Commands;

/// <summary>What options say becomes what the engine is told.</summary>
public sealed class QueueOptionsTests
{
    [Fact]
    public void Without_any_the_engine_has_its_defaults() => Assert.Equal(new EngineOptions(), Read());

    [Fact]
    public void Sizes_of_steps_and_of_the_KV_cache() => Assert.Equal(
        new EngineOptions { MaxRunning = 4000, MaxWaiting = 20_000, MaxStepRows = 8192, MaxPromptRows = 1024, KvTokens = 8_000_000 },
        Read("--max-running", "4000", "--max-waiting", "20000", "--max-step-rows", "8192", "--max-prompt-rows", "1024", "--kv-tokens", "8000000"));

    [Fact]
    public void Steps_that_are_small_have_fewer_prompt_rows_unless_these_are_named()
    {
        Assert.Equal(100, Read("--max-step-rows", "100").MaxPromptRows);
        Assert.Equal(130, Read("--max-step-rows", "100", "--max-prompt-rows", "130").MaxPromptRows);   // refused later, by name
    }

    static EngineOptions Read(params string[] args)
    {
        var (options, command) = (new QueueOptions(), new RootCommand());
        foreach (var option in options.All) command.Add(option);
        var parsed = command.Parse(args);
        Assert.Empty(parsed.Errors);
        return options.Read(parsed);
    }
}
