# SPDX-License-Identifier: MIT-0
# The whole chip for PYNQ: processor, an AXI DMA for each output, accelerator. Writes build/accel.bit, build/accel.hwh
# and two reports.
#
#   vivado -mode batch -source link/design.tcl
#
#   CODESIGN_SPELLING    rtl (default) or hls
#   CODESIGN_BOARD_PART  board part of an installed board file, for the processor's preset; without it the processor
#                        keeps Vivado's defaults except for its clocks; PYNQ's boot loader has already set the rest
#   CODESIGN_JOBS        parallel jobs, by default 4

set here [file normalize [file dirname [info script]]]
set root [file dirname $here]
source [file join $root settings.tcl]
source [file join $here spelling.tcl]

# The newest version of an IP, by vendor, library and name.
proc newest {name} {
  set found [lsort -dictionary [get_ipdefs -all "$name:*"]]
  if {[llength $found] == 0} {
    error "Vivado's catalogue has no IP named $name for this part"
  }
  return [lindex $found end]
}

proc add_ip {name instance {settings {}}} {
  set cell [create_bd_cell -type ip -vlnv [newest xilinx.com:ip:$name] $instance]
  if {[llength $settings]} {
    set_property -dict $settings $cell
  }
  return $cell
}

# PL clock 0 as PYNQ will have it: of the IO PLL, by these divisors. PYNQ applies the divisors of the handoff file to
# the IO PLL, whatever source the file names. On UltraScale+, Vivado takes another PLL unless told.
proc zynq_clock {accel} {
  upvar $accel a
  return [list CONFIG.PCW_CRYSTAL_PERIPHERAL_FREQMHZ $a(crystal_mhz) CONFIG.PCW_FCLK0_PERIPHERAL_CLKSRC {IO PLL} \
    CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ $a(pl_clock_mhz) CONFIG.PCW_EN_CLK0_PORT 1 CONFIG.PCW_EN_RST0_PORT 1]
}

proc zynqmp_clock {accel} {
  upvar $accel a
  return [list CONFIG.PSU__PSS_REF_CLK__FREQMHZ $a(crystal_mhz) CONFIG.PSU__CRL_APB__PL0_REF_CTRL__SRCSEL IOPLL \
    CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ $a(pl_clock_mhz) CONFIG.PSU__FPGA_PL0_ENABLE 1]
}

# Divisors are computed from the rate, but not where a board's preset overrides that; so they are set, and read back.
proc set_divisors {cell accel first second} {
  upvar $accel a
  set_property -dict [list CONFIG.$first $a(pl_divisor0) CONFIG.$second $a(pl_divisor1)] $cell
  set found [list [get_property CONFIG.$first $cell] [get_property CONFIG.$second $cell]]
  if {[lindex $found 0] * [lindex $found 1] != $a(pl_divisor0) * $a(pl_divisor1)} {
    error "processor: clock 0 has divisors $found, expected $a(pl_divisor0) and $a(pl_divisor1) of an IO PLL of\
      $a(io_pll_mhz) MHz; give the PLL of this board in its board file (processor: io_pll_mhz)"
  }
}

# The processor with one master for control and one 64- or 128-bit slave for data; returns the names of its pins.
proc add_processor {settings preset} {
  upvar $settings accel
  if {$accel(shell) eq "zynq"} {
    set cell [add_ip processing_system7 ps]
    apply_bd_automation -rule xilinx.com:bd_rule:processing_system7 \
      -config [list make_external {FIXED_IO, DDR} apply_board_preset $preset Master Disable Slave Disable] $cell
    set_property -dict [list CONFIG.PCW_USE_M_AXI_GP0 1 CONFIG.PCW_USE_S_AXI_HP0 1 \
      CONFIG.PCW_S_AXI_HP0_DATA_WIDTH 64 {*}[zynq_clock accel]] $cell
    set_divisors $cell accel PCW_FCLK0_PERIPHERAL_DIVISOR0 PCW_FCLK0_PERIPHERAL_DIVISOR1
    return {clock FCLK_CLK0 reset FCLK_RESET0_N master M_AXI_GP0 master_clock M_AXI_GP0_ACLK \
      slave S_AXI_HP0 slave_clock S_AXI_HP0_ACLK address_bits 32 data_bits 64}
  }
  set cell [add_ip zynq_ultra_ps_e ps]
  apply_bd_automation -rule xilinx.com:bd_rule:zynq_ultra_ps_e -config [list apply_board_preset $preset] $cell
  set_property -dict [list CONFIG.PSU__USE__M_AXI_GP0 1 CONFIG.PSU__USE__M_AXI_GP1 0 CONFIG.PSU__USE__M_AXI_GP2 0 \
    CONFIG.PSU__MAXIGP0__DATA_WIDTH 32 CONFIG.PSU__USE__S_AXI_GP2 1 CONFIG.PSU__SAXIGP2__DATA_WIDTH 128 \
    {*}[zynqmp_clock accel]] $cell
  set_divisors $cell accel PSU__CRL_APB__PL0_REF_CTRL__DIVISOR0 PSU__CRL_APB__PL0_REF_CTRL__DIVISOR1
  return {clock pl_clk0 reset pl_resetn0 master M_AXI_HPM0_FPD master_clock maxihpm0_fpd_aclk \
    slave S_AXI_HP0_FPD slave_clock saxihp0_fpd_aclk address_bits 40 data_bits 128}
}

# A DMA port is a power of two of at least 32 bits on the memory side, and never narrower than its stream.
proc memory_bits {stream_bits data_bits} {
  return [expr {max(32, max($stream_bits, min($data_bits, 64)))}]
}

# One DMA for each output, axi_dma_0, axi_dma_1 and so on; the first sends the images too.
proc add_dma {index in_bits out_bits ps} {
  set length_bits 26
  set sends [expr {$index == 0}]
  set settings [list \
    CONFIG.c_include_sg 1 CONFIG.c_sg_include_stscntrl_strm 0 CONFIG.c_sg_length_width $length_bits \
    CONFIG.c_addr_width [dict get $ps address_bits] CONFIG.c_include_mm2s $sends CONFIG.c_include_s2mm 1 \
    CONFIG.c_m_axi_s2mm_data_width [memory_bits $out_bits [dict get $ps data_bits]] \
    CONFIG.c_s_axis_s2mm_tdata_width $out_bits CONFIG.c_s2mm_burst_size 16]
  if {$sends} {
    lappend settings CONFIG.c_m_axi_mm2s_data_width [memory_bits $in_bits [dict get $ps data_bits]] \
      CONFIG.c_m_axis_mm2s_tdata_width $in_bits CONFIG.c_mm2s_burst_size 16
  }
  return [add_ip axi_dma axi_dma_$index $settings]
}

# The stream or register interface of the accelerator that fits: the two spellings may name theirs differently. Of
# several streams of results the name tells; old HLS tools put a V behind it.
proc accel_interface {mode protocol {name ""}} {
  set wanted "MODE == $mode && VLNV =~ *:$protocol:*"
  if {$name ne ""} {
    append wanted " && (NAME == $name || NAME =~ ${name}_V*)"
  }
  set found [get_bd_intf_pins -of_objects [get_bd_cells accel_0] -filter $wanted]
  if {[llength $found] != 1} {
    error "accelerator: expected one interface with $wanted, found '$found'"
  }
  return $found
}

proc join_pins {first second} {
  connect_bd_intf_net [get_bd_intf_pins $first] [get_bd_intf_pins $second]
}

# All DMAs share one port of the processor; those behind the first have an interconnect each before that.
proc connect_data {ps outputs} {
  set several [expr {[llength $outputs] > 1}]
  connect_bd_intf_net [get_bd_intf_pins axi_dma_0/M_AXIS_MM2S] [accel_interface Slave axis_rtl]
  add_ip smartconnect data_network [list CONFIG.NUM_SI [expr {2 + [llength $outputs]}] CONFIG.NUM_MI 1]
  for {set i 0} {$i < [llength $outputs]} {incr i} {
    set stream [expr {$several ? [lindex $outputs $i 0] : ""}]
    connect_bd_intf_net [accel_interface Master axis_rtl $stream] [get_bd_intf_pins axi_dma_$i/S_AXIS_S2MM]
    if {$i == 0} {
      join_pins axi_dma_0/M_AXI_MM2S data_network/S00_AXI
      join_pins axi_dma_0/M_AXI_S2MM data_network/S01_AXI
      join_pins axi_dma_0/M_AXI_SG data_network/S02_AXI
    } else {
      add_ip smartconnect data_network_$i {CONFIG.NUM_SI 2 CONFIG.NUM_MI 1}
      join_pins axi_dma_$i/M_AXI_S2MM data_network_$i/S00_AXI
      join_pins axi_dma_$i/M_AXI_SG data_network_$i/S01_AXI
      join_pins data_network_$i/M00_AXI data_network/[format S%02d_AXI [expr {2 + $i}]]
    }
  }
  join_pins data_network/M00_AXI ps/[dict get $ps slave]
}

proc connect_control {ps outputs} {
  set count [llength $outputs]
  add_ip smartconnect control_network [list CONFIG.NUM_SI 1 CONFIG.NUM_MI [expr {$count + 1}]]
  join_pins ps/[dict get $ps master] control_network/S00_AXI
  for {set i 0} {$i < $count} {incr i} {
    join_pins control_network/[format M%02d_AXI $i] axi_dma_$i/S_AXI_LITE
  }
  connect_bd_intf_net [get_bd_intf_pins control_network/[format M%02d_AXI $count]] [accel_interface Slave aximm_rtl]
}

# The pin that clocks everything: the processor's clock 0, or that of a wizard where no divisor makes the rate.
proc clock_source {ps settings} {
  upvar $settings accel
  set source ps/[dict get $ps clock]
  if {$accel(pl_clock_mhz) == $accel(clock_mhz)} {
    return $source
  }
  add_ip clk_wiz wizard [list CONFIG.PRIM_SOURCE No_buffer CONFIG.CLKOUT1_REQUESTED_OUT_FREQ $accel(clock_mhz) \
    CONFIG.USE_LOCKED true CONFIG.USE_RESET true CONFIG.RESET_TYPE ACTIVE_LOW CONFIG.RESET_PORT resetn]
  connect_bd_net [get_bd_pins $source] [get_bd_pins wizard/clk_in1]
  connect_bd_net [get_bd_pins ps/[dict get $ps reset]] [get_bd_pins wizard/resetn]
  connect_bd_net [get_bd_pins wizard/locked] [get_bd_pins reset/dcm_locked]
  return wizard/clk_out1
}

# One clock, one reset for everything.
proc connect_clock {ps settings} {
  upvar $settings accel
  add_ip proc_sys_reset reset
  set source [clock_source $ps accel]
  set clock_pins {reset/slowest_sync_clk axi_dma_0/m_axi_mm2s_aclk data_network/aclk control_network/aclk accel_0/ap_clk}
  set reset_pins {data_network/aresetn control_network/aresetn accel_0/ap_rst_n}
  for {set i 0} {$i < [llength $accel(outputs)]} {incr i} {
    lappend clock_pins axi_dma_$i/s_axi_lite_aclk axi_dma_$i/m_axi_sg_aclk axi_dma_$i/m_axi_s2mm_aclk
    lappend reset_pins axi_dma_$i/axi_resetn
    if {$i > 0} {
      lappend clock_pins data_network_$i/aclk
      lappend reset_pins data_network_$i/aresetn
    }
  }
  lappend clock_pins ps/[dict get $ps master_clock] ps/[dict get $ps slave_clock]
  foreach pin $clock_pins {
    connect_bd_net [get_bd_pins $source] [get_bd_pins $pin]
  }
  connect_bd_net [get_bd_pins ps/[dict get $ps reset]] [get_bd_pins reset/ext_reset_in]
  foreach pin $reset_pins {
    connect_bd_net [get_bd_pins reset/peripheral_aresetn] [get_bd_pins $pin]
  }
}

# What the clock came to, after the design was validated: within a thousandth of the rate that was asked for.
proc check_clock {clock_mhz} {
  set found [expr {[get_property CONFIG.FREQ_HZ [get_bd_pins accel_0/ap_clk]] / 1e6}]
  if {abs($found / $clock_mhz - 1) > 0.001} {
    error "the accelerator's clock is $found MHz, expected $clock_mhz MHz"
  }
}

proc implement {root jobs} {
  set_property STEPS.PHYS_OPT_DESIGN.IS_ENABLED true [get_runs impl_1]
  launch_runs impl_1 -to_step write_bitstream -jobs $jobs
  wait_on_run impl_1
  if {[get_property PROGRESS [get_runs impl_1]] ne "100%"} {
    error "implementation failed: [get_property STATUS [get_runs impl_1]]"
  }
  open_run impl_1
  # The accelerator alone is what the prediction is of; the whole chip, by hierarchy, is for people.
  report_utilization -cells [get_cells accel_bd_i/accel_0] -file [file join $root build utilization_accel.rpt]
  report_utilization -hierarchical -file [file join $root build utilization.rpt]
  report_timing_summary -file [file join $root build timing.rpt]
  set slack [get_property SLACK [get_timing_paths -max_paths 1 -setup]]
  if {$slack < 0} {
    error "timing is not met: worst slack $slack ns, see build/timing.rpt"
  }
}

# Bitstream and handoff file under one name; where Vivado keeps them depends on its version.
proc collect {root project} {
  set bits [glob -directory $project/design.runs/impl_1 *.bit]
  file copy -force [lindex $bits 0] [file join $root build accel.bit]
  foreach place {design.gen/sources_1/bd/accel_bd/hw_handoff design.srcs/sources_1/bd/accel_bd/hw_handoff} {
    set handoff [file join $project $place accel_bd.hwh]
    if {[file exists $handoff]} {
      file copy -force $handoff [file join $root build accel.hwh]
      return
    }
  }
  error "no accel_bd.hwh found below $project"
}

set jobs 4
if {[info exists ::env(CODESIGN_JOBS)] && $::env(CODESIGN_JOBS) ne ""} {
  set jobs $::env(CODESIGN_JOBS)
}
set project [file join $root build vivado]
create_project -force design $project -part $accel(part)
set preset 0
if {[info exists ::env(CODESIGN_BOARD_PART)] && $::env(CODESIGN_BOARD_PART) ne ""} {
  set_property board_part $::env(CODESIGN_BOARD_PART) [current_project]
  set preset 1
}
set_property ip_repo_paths [ip_folder $root] [current_project]
update_ip_catalog

create_bd_design accel_bd
set ps [add_processor accel $preset]
create_bd_cell -type ip -vlnv [newest codesign:[spelling]:accel] accel_0
for {set i 0} {$i < [llength $accel(outputs)]} {incr i} {
  add_dma $i $accel(in_word_bits) [lindex $accel(outputs) $i 1] $ps
}
connect_data $ps $accel(outputs)
connect_control $ps $accel(outputs)
connect_clock $ps accel
assign_bd_address
validate_bd_design
check_clock $accel(clock_mhz)
save_bd_design

set wrapper [make_wrapper -files [get_files accel_bd.bd] -top]
add_files -norecurse $wrapper
set_property top accel_bd_wrapper [current_fileset]
update_compile_order -fileset sources_1
implement $root $jobs
collect $root $project
puts "codesign: wrote build/accel.bit and build/accel.hwh"
