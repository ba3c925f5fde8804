using LlamaCluster.Cli.Commands;

namespace LlamaCluster.Cli.Tests;

public sealed class CommandLineTests
{
    [Theory]
    [InlineData("up", "--model PATH --workers N --tensor-parallel T --sum-type f32|bf16|q8 --peer-link auto|grpc|tcp|shm --threads-per-worker K --port PORT")]
    [InlineData("up", "--context N --kv-type f16|f32|q8_0|q4_0 --restart-limit N")]
    [InlineData("worker",
        "--coordinator URL --listen URL --metrics-listen URL --threads K --cache DIR --profiles DIR --memory BYTES --peer-link auto|grpc|tcp|shm")]
    [InlineData("worker", "--tls-cert FILE --tls-key FILE --tls-ca FILE")]
    [InlineData("coordinator",
        "--model PATH --listen URL --grpc-listen URL --metrics-listen URL --workers N --tensor-parallel T --sum-type f32|bf16|q8 --kv-type f16|f32|q8_0|q4_0")]
    [InlineData("coordinator", "--tls-cert FILE --tls-key FILE --tls-ca FILE")]
    [InlineData("bench", "--kv-type f16|f32|q8_0|q4_0")]
    [InlineData("bench", "--peer-link auto|grpc|tcp|shm")]
    [InlineData("plan", "--kv-type f16|f32|q8_0|q4_0")]
    [InlineData("chat", "--url URL")]
    [InlineData("generate", "--model PATH --kv-type f16|f32|q8_0|q4_0 --prompt TEXT --max-tokens N --temperature T --seed N --logprobs K")]
    [InlineData("tokenize", "--model PATH --text TEXT")]
    [InlineData("template", "--model PATH --messages FILE.json --tools FILE.json")]
    [InlineData("inspect", "--model PATH")]
    [InlineData("perplexity", "--model PATH --kv-type f16|f32|q8_0|q4_0 --file TEXT --context N")]
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
    [InlineData("worker --coordinator http://127.0.0.1:1 --metrics-listen 9101", "--metrics-listen is '9101'; it must be like http://127.0.0.1:8080")]
    [InlineData("coordinator --metrics-listen https://127.0.0.1:9100", "--metrics-listen is 'https://127.0.0.1:9100'; it must be like http://127.0.0.1:8080")]
    [InlineData("worker --coordinator http://127.0.0.1:1 --listen http://0.0.0.0:0",
        "add --join-token-file, or --tls-cert, --tls-key and --tls-ca; or --insecure")]
    [InlineData("coordinator --listen http://0.0.0.0:0", "--listen is 'http://0.0.0.0:0'; other machines reach it")]
    [InlineData("coordinator --grpc-listen http://0.0.0.0:0", "--grpc-listen is 'http://0.0.0.0:0'; other machines reach it")]
    [InlineData("worker --coordinator http://127.0.0.1:1 --peer-link udp", "--peer-link is 'udp'")]
    [InlineData("bench --shape hidden=64 --peer-link shm", "--peer-link needs --workers")]
    [InlineData("up --threads-per-worker 0", "--threads-per-worker is 0")]
    [InlineData("up --context 1000000", "--context is 1000000")]
    [InlineData("worker", "--coordinator")]
    [InlineData("worker --coordinator http://127.0.0.1:1 --memory 0", "--memory is 0")]
    [InlineData("worker --coordinator http://127.0.0.1:1 --model /nowhere", "/nowhere")]
    [InlineData("worker --coordinator http://127.0.0.1:1 --memory 8XB", "--memory is '8XB'; it must be a number of bytes such as 8000000000, or one with")]
    [InlineData("worker --coordinator http://127.0.0.1:1 --memory 99999999999GB", "such as 8GB or 7.5GiB")]
    [InlineData("worker --coordinator http://127.0.0.1:1 --memory=-1", "--memory is '-1'")]
    [InlineData("up --restart-limit -1", "--restart-limit is -1; it must be from 0 to 2147483647")]
    [InlineData("up --kv-type f64", "--kv-type is 'f64'; it must be f16, f32, q8_0, q4_0")]
    [InlineData("up --workers 99999999999", "--workers is '99999999999'; it must be a whole number such as 4, at most 2147483647")]
    [InlineData("coordinator --workers many", "--workers is 'many'; it must be a whole number such as 4")]
    [InlineData("generate --prompt a --temperature warm", "--temperature is 'warm'; it must be a number such as 0.7")]
    [InlineData("generate --prompt a --seed x", "--seed is 'x'; it must be a whole number from 0 to 18446744073709551615")]
    [InlineData("coordinator --workers 0", "--workers is 0")]
    [InlineData("coordinator --draft-tokens 3", "--draft-tokens needs --draft-model")]
    [InlineData("up --draft-model a.gguf --draft-tokens 16", "--draft-tokens is 16")]
    [InlineData("coordinator --weights-from peers", "--weights-from is 'peers'")]
    [InlineData("up --expert-parallel yes", "--expert-parallel is 'yes'")]
    [InlineData("coordinator --listen nowhere", "--listen is 'nowhere'")]
    [InlineData("coordinator --context 1", "--context is 1")]
    public async Task Wrong_usage_is_one_line_and_exit_code_2(string line, string expected)
    {
        var run = await CommandRun.OfAsync("", line.Split(' '));
        Assert.Equal(2, run.ExitCode);
        Assert.Equal("", run.Output);
        Assert.Contains(expected, Assert.Single(run.Error.TrimEnd().Split('\n')));
    }

    /// <summary>The parser's own words would name a type of .NET.</summary>
    [Fact]
    public async Task Every_option_with_numbers_or_words_of_its_own_names_itself_and_the_value()
    {
        var root = CommandLine.Root(TextReader.Null, new ByteStreams(Stream.Null, Stream.Null));
        var options = root.Subcommands.SelectMany(command => command.Options.Select(option => (Command: command.Name, Option: option)));
        var typed = options.Where(pair => pair.Option.ValueType is { IsValueType: true } type && type != typeof(bool)).ToList();
        Assert.InRange(typed.Count, 30, int.MaxValue);
        foreach (var (command, option) in typed)
        {
            var run = await CommandRun.OfAsync("", command, $"{option.Name}=no-such-value");
            Assert.Equal(2, run.ExitCode);
            Assert.DoesNotContain("System.", run.ErrorLine);
            if (!run.ErrorLine.Contains("is required")) Assert.Contains($"{option.Name} is 'no-such-value'; it must be ", run.ErrorLine);
        }
    }

    [Fact]
    public async Task A_model_that_is_not_there_is_one_line_and_exit_code_1()
    {
        var run = await CommandRun.OfAsync("", "coordinator", "--model", "/nowhere/model.gguf");
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("/nowhere/model.gguf", Assert.Single(run.Error.TrimEnd().Split('\n')));
    }
}
