// SPDX-License-Identifier: MIT-0
// AXI-Lite register file, gate of the input stream, end-of-image marks and hardware cycle counters.
//
// Register map: codesign/emit/registers.py. After start the gate lets exactly `images` images in; `done` rises when the
// last beat of the last image has left, whatever the reason for which beats waited. Cycles are counted in 64 bits: a
// slow design passes 2**32 of them within one start. Their halves do not change between `done` and the next start.
module accel_control
  import codesign_pkg::*;
#(
  parameter logic [63:0] DESIGN_HASH = '0,
  parameter int BEATS_IN = 1,   // per image
  parameter int BEATS_OUT = 1,
  parameter int ADDRESS_BITS = 7
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,
  input  logic [ADDRESS_BITS-1:0] awaddr_i,
  input  logic                    awvalid_i,
  output logic                    awready_o,
  input  logic [31:0]             wdata_i,
  input  logic                    wvalid_i,
  output logic                    wready_o,
  output logic                    bvalid_o,
  input  logic                    bready_i,
  input  logic [ADDRESS_BITS-1:0] araddr_i,
  input  logic                    arvalid_i,
  output logic                    arready_o,
  output logic [31:0]             rdata_o,
  output logic                    rvalid_o,
  input  logic                    rready_i,
  output logic                    open_o,      // input beats may pass
  input  logic                    in_beat_i,   // an input beat passed
  input  logic                    out_beat_i,  // an output beat passed
  output logic                    out_last_o   // the present output beat ends an image
);

  localparam logic [ADDRESS_BITS-1:0] Ctrl = 'h00, Images = 'h10, HashLo = 'h20, HashHi = 'h30, CyclesLo = 'h40,
                                      FirstOutLo = 'h44, BeatsIn = 'h48, BeatsOut = 'h4c, ImagesOut = 'h50,
                                      CyclesHi = 'h54, FirstOutHi = 'h58, Spelling = 'h5c;
  localparam logic [31:0] SpellingRtl = 32'h0052544c;  // "RTL"
  localparam int InBits = counter_bits(BEATS_IN);
  localparam int OutBits = counter_bits(BEATS_OUT);

  logic [31:0] images_q, to_come_q, beats_in_q, beats_out_q, images_out_q;
  logic [63:0] cycle_q, cycles_q, first_out_q;
  logic [InBits-1:0] in_q;
  logic [OutBits-1:0] out_q;
  logic busy_q, done_q, counting_q;
  logic write, start, read, last_in, image_out, finished;

  assign write     = awvalid_i && wvalid_i && !bvalid_o;
  assign awready_o = write;
  assign wready_o  = write;
  assign read      = arvalid_i && !rvalid_o;
  assign arready_o = read;
  assign start     = write && awaddr_i == Ctrl && wdata_i[0] && !busy_q && images_q != 0;

  assign open_o     = busy_q && to_come_q != 0;
  assign last_in    = in_q == InBits'(BEATS_IN - 1);
  assign out_last_o = out_q == OutBits'(BEATS_OUT - 1);
  assign image_out  = out_beat_i && out_last_o;
  assign finished   = image_out && images_out_q + 1 == images_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      bvalid_o <= 1'b0;
      images_q <= '0;
    end else begin
      if (write) bvalid_o <= 1'b1;
      else if (bready_i) bvalid_o <= 1'b0;
      if (write && awaddr_i == Images && !busy_q) images_q <= wdata_i;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) rvalid_o <= 1'b0;
    else if (read) rvalid_o <= 1'b1;
    else if (rready_i) rvalid_o <= 1'b0;
  end
  always_ff @(posedge clk_i) begin
    if (read) begin
      case (araddr_i)
        Ctrl:       rdata_o <= {29'b0, !busy_q, done_q, 1'b0};
        Images:     rdata_o <= images_q;
        HashLo:     rdata_o <= DESIGN_HASH[31:0];
        HashHi:     rdata_o <= DESIGN_HASH[63:32];
        CyclesLo:   rdata_o <= cycles_q[31:0];
        FirstOutLo: rdata_o <= first_out_q[31:0];
        BeatsIn:    rdata_o <= beats_in_q;
        BeatsOut:   rdata_o <= beats_out_q;
        ImagesOut:  rdata_o <= images_out_q;
        CyclesHi:   rdata_o <= cycles_q[63:32];
        FirstOutHi: rdata_o <= first_out_q[63:32];
        Spelling:   rdata_o <= SpellingRtl;
        default:    rdata_o <= '0;
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      busy_q     <= 1'b0;
      done_q     <= 1'b0;
      counting_q <= 1'b0;
    end else if (start) begin
      busy_q     <= 1'b1;
      done_q     <= 1'b0;
      counting_q <= 1'b0;
    end else begin
      if (finished) busy_q <= 1'b0;
      if (finished) done_q <= 1'b1;
      else if (read && araddr_i == Ctrl) done_q <= 1'b0;
      if (in_beat_i) counting_q <= 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (start) begin
      to_come_q    <= images_q;
      in_q         <= '0;
      out_q        <= '0;
      cycle_q      <= '0;
      beats_in_q   <= '0;
      beats_out_q  <= '0;
      images_out_q <= '0;
    end else if (busy_q) begin
      if (counting_q || in_beat_i) cycle_q <= cycle_q + 1;
      if (in_beat_i) begin
        beats_in_q <= beats_in_q + 1;
        in_q       <= last_in ? '0 : in_q + 1'b1;
        if (last_in) to_come_q <= to_come_q - 1;
      end
      if (out_beat_i) begin
        beats_out_q <= beats_out_q + 1;
        out_q       <= out_last_o ? '0 : out_q + 1'b1;
      end
      if (image_out) begin
        images_out_q <= images_out_q + 1;
        cycles_q     <= cycle_q;
        if (images_out_q == 0) first_out_q <= cycle_q;
      end
    end
  end

endmodule
