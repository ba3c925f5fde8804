using System.Text;
using LlamaCluster.Testing;

namespace LlamaCluster.Cli.Tests.Models;

public sealed class TokenizeCommandTests
{
    [Fact]
    public async Task Text_becomes_a_JSON_array_of_ids_with_bos()
    {
        var run = await CommandRun.OfAsync("", "tokenize", "--text", "Hello, world");

        Assert.Equal((0, "[2043,521,11,1443]\n", ""), (run.ExitCode, run.Output, run.Error));
    }

    [Fact]
    public async Task Bos_is_left_out_where_it_is_not_wanted() =>
        Assert.Equal("[521,11,1443]\n", (await CommandRun.OfAsync("", "tokenize", "--text", "Hello, world", "--no-special")).Output);

    [Fact]
    public async Task Special_tokens_in_the_text_are_recognised() =>
        Assert.Equal("[64,2047]\n", (await CommandRun.OfAsync("", "tokenize", "--text", "a<|eot_id|>", "--no-special")).Output);

    [Theory]
    [InlineData(new byte[] { })]
    [InlineData(new byte[] { (byte)'a', (byte)'\n' })]
    [InlineData(new byte[] { 0xff, 0xfe, 0, (byte)'a', 0xc3, 0x28, 0xe2, 0x82, 0xf0, 0x9f, 0x98, 0x80, 0xed, 0xa0, 0x80, 13, 10 })]
    public async Task Standard_input_is_read_and_given_back_byte_for_byte(byte[] bytes)
    {
        foreach (string[] options in new string[][] { [], ["--no-special"] })
        {
            var ids = await CommandRun.OfBytesAsync(bytes, ["tokenize", .. options]);
            var text = await CommandRun.OfBytesAsync(Encoding.UTF8.GetBytes(ids.Output), ["tokenize", "--decode", .. options]);

            Assert.Equal((0, ""), (text.ExitCode, text.Output));
            Assert.Equal(bytes, text.OutputBytes);
        }
    }

    [Fact]
    public async Task A_folder_needs_only_its_tokenizer()
    {
        using var folder = new TempFolder();
        foreach (var file in new[] { "tokenizer.json", "tokenizer_config.json" }) File.Copy(SharedFiles.Demo($"hf/{file}"), folder.File(file));

        var run = await CommandRun.OfAsync("", "tokenize", "--model", folder.Path, "--text", "Hello, world");

        Assert.Equal((0, "[2043,521,11,1443]\n"), (run.ExitCode, run.Output));
    }

    [Theory]
    [InlineData("[1, 2048]", "--decode got the id 2048; the model has ids from 0 to 2047")]
    [InlineData("[-1]", "--decode got the id -1; the model has ids from 0 to 2047")]
    [InlineData("[1", "--decode wants a JSON array of ids")]
    [InlineData("null", "--decode wants a JSON array of ids")]
    [InlineData("[\"a\"]", "--decode wants a JSON array of ids")]
    public async Task What_is_no_array_of_ids_is_one_line_and_exit_code_1(string json, string expected)
    {
        var run = await CommandRun.OfAsync("", "tokenize", "--decode", "--text", json);

        Assert.Equal((1, ""), (run.ExitCode, run.Output));
        Assert.StartsWith($"error: {expected}", run.ErrorLine);
    }
}
