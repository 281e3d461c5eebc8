// A plain bench of a rendered machine for simulators other than Verilator: sends the images of tb/data/input.dat, with
// pauses, and compares what comes out with tb/data/golden.dat. Lanes beyond an image carry ones.
module icarus_bench #(
  parameter int IMAGES = 1,
  parameter int IN_ELEMENTS = 1,
  parameter int IN_LANES = 1,
  parameter int IN_CONTAINER = 8,
  parameter int OUT_ELEMENTS = 1,
  parameter int OUT_LANES = 1,
  parameter int OUT_CONTAINER = 8,
  parameter bit OUT_SIGNED = 0,
  parameter int PATIENCE = 100000
);

  localparam int InBeats = (IN_ELEMENTS + IN_LANES - 1) / IN_LANES;
  localparam int OutBeats = (OUT_ELEMENTS + OUT_LANES - 1) / OUT_LANES;

  reg clk = 0, reset_n = 0;
  always #1 clk = !clk;

  reg [IN_LANES*IN_CONTAINER-1:0] in_data = 0;
  reg in_valid = 0, in_last = 0, out_ready = 0, awvalid = 0;
  reg [6:0] awaddr = 0;
  reg [31:0] wdata = 0;
  wire in_ready, out_valid, out_last, awready, wready;
  wire [OUT_LANES*OUT_CONTAINER-1:0] out_data;

  accel u_accel (
    .ap_clk(clk), .ap_rst_n(reset_n),
    .s_axis_tdata(in_data), .s_axis_tvalid(in_valid), .s_axis_tready(in_ready), .s_axis_tlast(in_last),
    .m_axis_tdata(out_data), .m_axis_tkeep(), .m_axis_tvalid(out_valid), .m_axis_tready(out_ready),
    .m_axis_tlast(out_last),
    .s_axi_control_awaddr(awaddr), .s_axi_control_awvalid(awvalid), .s_axi_control_awready(awready),
    .s_axi_control_wdata(wdata), .s_axi_control_wstrb(4'hf), .s_axi_control_wvalid(awvalid),
    .s_axi_control_wready(wready), .s_axi_control_bresp(), .s_axi_control_bvalid(), .s_axi_control_bready(1'b1),
    .s_axi_control_araddr(7'd0), .s_axi_control_arvalid(1'b0), .s_axi_control_arready(), .s_axi_control_rdata(),
    .s_axi_control_rresp(), .s_axi_control_rvalid(), .s_axi_control_rready(1'b1)
  );

  task write(input [6:0] address, input [31:0] value);
    begin
      @(negedge clk);
      awaddr  = address;
      wdata   = value;
      awvalid = 1;
      @(negedge clk);
      awvalid = 0;
      @(negedge clk);
    end
  endtask

  integer inputs, goldens, found, element, wrong = 0, words = 0, idle = 0;
  integer in_beat, in_lane, out_beat, out_lane, value, expected;
  reg signed [OUT_CONTAINER-1:0] got;

  initial begin
    inputs  = $fopen("tb/data/input.dat", "r");
    goldens = $fopen("tb/data/golden.dat", "r");
    repeat (4) @(negedge clk);
    reset_n = 1;
    write(7'h10, IMAGES);
    write(7'h00, 1);
    for (in_beat = 0; in_beat < IMAGES * InBeats; in_beat = in_beat + 1) begin
      if (in_beat % 5 == 3) repeat (2) @(negedge clk);
      in_data = '1;
      for (in_lane = 0; in_lane < IN_LANES; in_lane = in_lane + 1) begin
        element = (in_beat % InBeats) * IN_LANES + in_lane;
        if (element < IN_ELEMENTS) begin
          found = $fscanf(inputs, "%d", value);
          in_data[in_lane*IN_CONTAINER+:IN_CONTAINER] = value;
        end
      end
      in_last  = in_beat % InBeats == InBeats - 1;
      in_valid = 1;
      #0.5;
      while (!in_ready) begin
        @(negedge clk);
        #0.5;
      end
      @(negedge clk);
      in_valid = 0;
    end
  end

  initial begin
    out_beat = 0;
    @(posedge reset_n);
    while (out_beat < IMAGES * OutBeats && idle < PATIENCE) begin
      @(negedge clk);
      out_ready = out_beat % 3 != 1 || idle % 2 == 1;
      #0.6;
      idle = idle + 1;
      if (out_valid && out_ready) begin
        for (out_lane = 0; out_lane < OUT_LANES; out_lane = out_lane + 1) begin
          if ((out_beat % OutBeats) * OUT_LANES + out_lane < OUT_ELEMENTS) begin
            found = $fscanf(goldens, "%d", expected);
            got   = out_data[out_lane*OUT_CONTAINER+:OUT_CONTAINER];
            value = got;
            if (!OUT_SIGNED) value = {1'b0, got};
            words = words + 1;
            if (value !== expected) wrong = wrong + 1;
          end
        end
        if (out_last !== (out_beat % OutBeats == OutBeats - 1)) wrong = wrong + 1;
        out_beat = out_beat + 1;
        idle     = 0;
      end
    end
    $display("result words %0d wrong %0d", words, wrong);
    $finish;
  end

endmodule
