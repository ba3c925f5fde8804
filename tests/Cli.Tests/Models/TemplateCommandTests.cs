using LlamaCluster.Testing;

namespace LlamaCluster.Cli.Tests.Models;

public sealed class TemplateCommandTests : IDisposable
{
    readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("llamacluster-demo-5m-q8_0.gguf")]
    [InlineData("hf")]
    public async Task The_prompt_is_printed_exactly(string model)
    {
        var messages = Write("messages.json", """[{"role":"system","content":"Be brief."},{"role":"user","content":" Hä? "}]""");

        var run = await CommandRun.OfAsync("", "template", "--model", SharedFiles.Demo(model), "--messages", messages);

        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Equal(
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>" +
            "<|start_header_id|>user<|end_header_id|>\n\nHä?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
            run.Output);
    }

    [Fact]
    public async Task Tools_reach_the_template()
    {
        File.Copy(SharedFiles.Demo("hf/tokenizer.json"), _folder.File("tokenizer.json"));
        Write("tokenizer_config.json", """{"chat_template":"{{ tools[0].function.name }}:{{ messages | length }}","eos_token":"<|eot_id|>"}""");
        var (messages, tools) = (Write("messages.json", "[{}, {}]"), Write("tools.json", """[{"type":"function","function":{"name":"now"}}]"""));

        var run = await CommandRun.OfAsync("", "template", "--model", _folder.Path, "--messages", messages, "--tools", tools);

        Assert.Equal((0, "now:2"), (run.ExitCode, run.Output));
    }

    [Theory]
    [InlineData("{}", "holds no JSON array")]
    [InlineData("[", "is not JSON")]
    [InlineData("", "is not JSON")]
    [InlineData("[{\"role\":\"user\",\"role\":\"user\",\"content\":\"a\"}]", "is not JSON")]
    [InlineData("[{\"content\":\"a\"}]", "chat template, line 1: 'dict object' has no attribute 'role'")]
    public async Task Messages_that_cannot_be_used_are_one_line_and_exit_code_1(string json, string expected)
    {
        var run = await CommandRun.OfAsync("", "template", "--messages", Write("messages.json", json));

        Assert.Equal((1, ""), (run.ExitCode, run.Output));
        Assert.Contains(expected, run.ErrorLine);
    }

    [Fact]
    public async Task A_file_that_is_not_there_is_one_line_and_exit_code_1()
    {
        var run = await CommandRun.OfAsync("", "template", "--messages", _folder.File("none.json"));

        Assert.Equal(1, run.ExitCode);
        Assert.Contains("none.json", run.ErrorLine);
    }

    string Write(string name, string text)
    {
        File.WriteAllText(_folder.File(name), text);
        return _folder.File(name);
    }
}
