namespace LlamaCluster.Cli.Tests;

public sealed class CommandLineTests
{
    [Theory]
    [InlineData("up", "--model PATH --workers N --tensor-parallel T --sum-type f32|bf16|q8 --peer-link auto|grpc|tcp --threads-per-worker K --port PORT --context N")]
    [InlineData("worker", "--coordinator URL --listen URL --threads K --cache DIR --memory BYTES --peer-link auto|grpc|tcp --tls-cert FILE --tls-key FILE --tls-ca FILE")]
    [InlineData("coordinator", "--model PATH --listen URL --grpc-listen URL --workers N --tensor-parallel T --sum-type f32|bf16|q8 --tls-cert FILE --tls-key FILE --tls-ca FILE")]
    [InlineData("chat", "--url URL --session ID")]
    [InlineData("generate", "--model PATH --prompt TEXT --max-tokens N --temperature T --seed N --logprobs K")]
    [InlineData("tokenize", "--model PATH --text TEXT")]
    [InlineData("template", "--model PATH --messages FILE.json --tools FILE.json")]
    [InlineData("inspect", "--model PATH")]
    [InlineData("perplexity", "--model PATH --file TEXT --context N")]
    [InlineData("quantize", "--model PATH --to q8_0|q6_k|q4_k|q4_0 --out FILE.gguf")]
    public async Task Help_lists_the_options_of_the_contract(string command, string options)
    {
        var run = await CommandRun.OfAsync("", command, "--help");
        Assert.Equal(0, run.ExitCode);
        foreach (var option in options.Split(" --").Select(option => option.TrimStart('-').Split(' ')))
            Assert.Contains($"--{option[0]} <{option[1]}>", run.Output);
    }

    [Theory]
    [InlineData("nonsense", "'nonsense'")]
    [InlineData("chat --nonsense", "'--nonsense'")]
    [InlineData("generate", "'--prompt' is required")]
    [InlineData("generate --prompt a --logprobs 3", "--logprobs needs --json")]
    [InlineData("generate --prompt a --json --logprobs 21", "--logprobs is 21; it must be from 0 to 20")]
    [InlineData("generate --prompt a --max-tokens 0", "--max-tokens is 0")]
    [InlineData("generate --prompt a --temperature -1", "--temperature is -1")]
    [InlineData("generate --prompt a --temperature NaN", "--temperature is NaN")]
    [InlineData("generate --prompt a --seed -1", "'-1'")]
    [InlineData("tokenize surplus", "'surplus'")]
    [InlineData("template", "'--messages' is required")]
    [InlineData("perplexity --file a --context 3", "--context is 3")]
    [InlineData("quantize --model a --to q9 --out b", "--to is q9; it must be one of q8_0, q6_k, q4_k, q4_0")]
    [InlineData("chat --url nowhere", "--url is 'nowhere'")]
    [InlineData("chat --url", "--url")]
    [InlineData("up --port 65536", "--port is 65536")]
    [InlineData("up --workers -1", "--workers is -1")]
    [InlineData("up --tensor-parallel 257", "--tensor-parallel is 257")]
    [InlineData("up --sum-type f16", "--sum-type is 'f16'; it must be f32, bf16, q8")]
    [InlineData("worker --coordinator https://127.0.0.1:1 --tls-cert a", "--tls-key and --tls-ca must be given too")]
    [InlineData("worker --coordinator http://127.0.0.1:1 --peer-link udp", "--peer-link is 'udp'")]
    [InlineData("up --threads-per-worker 0", "--threads-per-worker is 0")]
    [InlineData("up --context 1000000", "--context is 1000000")]
    [InlineData("worker", "--coordinator")]
    [InlineData("worker --coordinator http://127.0.0.1:1 --memory 0", "--memory is 0")]
    [InlineData("worker --coordinator http://127.0.0.1:1 --model /nowhere", "/nowhere")]
    [InlineData("coordinator --workers many", "'many'")]
    [InlineData("coordinator --workers 0", "--workers is 0")]
    [InlineData("coordinator --listen nowhere", "--listen is 'nowhere'")]
    [InlineData("coordinator --context 1", "--context is 1")]
    public async Task Wrong_usage_is_one_line_and_exit_code_2(string line, string expected)
    {
        var run = await CommandRun.OfAsync("", line.Split(' '));
        Assert.Equal(2, run.ExitCode);
        Assert.Equal("", run.Output);
        Assert.Contains(expected, Assert.Single(run.Error.TrimEnd().Split('\n')));
    }

    [Fact]
    public async Task A_model_that_is_not_there_is_one_line_and_exit_code_1()
    {
        var run = await CommandRun.OfAsync("", "coordinator", "--model", "/nowhere/model.gguf");
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("/nowhere/model.gguf", Assert.Single(run.Error.TrimEnd().Split('\n')));
    }
}
